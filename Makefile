# make help lists what there is to do.

export GOFLAGS = -tags=goolm

STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.7.0
FUZZTIME ?= 10s
TESTTIME ?= 10m

.PHONY: help build demo demo-once demo-crash crash crash-slice test check format vet lint fuzz homeserver clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile the bridge to build/causeway
	go build -o build/causeway .

demo: ## a first look: homeserver, simulated WhatsApp and Messenger, and the bridge; Ctrl-C ends it
	@go build -o build/demo ./cmd/demo && exec build/demo

demo-once: ## the same, playing a scripted conversation and printing it
	@go build -o build/demo ./cmd/demo && exec build/demo -once

demo-crash: ## the same with another conversation, while the bridge is killed again and again
	@go build -o build/demo ./cmd/demo && exec build/demo -crash

crash: ## kill the bridge at every failpoint and 300 times at random, and count what is missing (an hour; PostgreSQL at CAUSEWAY_TEST_POSTGRES)
	@go build -o build/crash ./cmd/crash && exec build/crash -messages 200 -kills 150 -random-messages 10000 -limit 3h

crash-slice: ## five minutes of it, and the negative controls
	@CAUSEWAY_TEST_CRASH=1 go test -count=1 ./e2e/crash/...
	@go build -o build/crash ./cmd/crash && exec build/crash -messages 20 -kills 10 -random-messages 500 -limit 15m

test: homeserver ## all tests, with the race detector
	go test -race -timeout $(TESTTIME) ./...

check: format vet lint test ## everything that a change has to pass

format:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...

lint:
	$(STATICCHECK) ./...

fuzz: ## fuzz every codec, FUZZTIME each (10s; make fuzz FUZZTIME=60s for longer)
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
			echo "fuzz $$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$package"; \
		done; \
	done

# The homeserver's first build takes a minute or two: before the tests, not within their time limit.
homeserver:
	@if [ -z "$$DENDRITE_BIN" ]; then \
		echo "homeserver for the end-to-end tests: building it if it is not there yet"; \
		GOFLAGS= CGO_ENABLED=0 go tool -modfile=e2e/hs/go.mod -n dendrite; \
	fi

clean: ## remove what was built here
	rm -rf build
