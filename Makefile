# make help lists what there is to do.

export GOFLAGS = -tags=goolm

STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.7.0
FUZZTIME ?= 10s
TESTTIME ?= 20m

.PHONY: help build demo demo-once demo-crash crash crash-slice fault-matrix load test test-synapse check format vet lint fuzz homeserver clean

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

crash: ## kill the bridge at every failpoint and 300 times at random, and count what is missing (an hour and a half; PostgreSQL at CAUSEWAY_TEST_POSTGRES)
	@go build -o build/crash ./cmd/crash && build/crash -messages 200 -kills 150 -random-messages 10000 -limit 3h
	@for flow in messenger-interop whatsapp-qr; do build/crash -flow $$flow -messages 100 -kills 40 -random-messages 2800 -limit 1h || exit 1; done

fault-matrix: ## each fault of homeserver, network and machine, with 1,000 messages each way (half an hour)
	@go build -o build/crash ./cmd/crash && exec build/crash -failpoints none -faults all -fault-messages 2000 -rate 250 -patience 2m -limit 3h

load: ## two people who write 20,000 messages to each other at once
	@CAUSEWAY_TEST_LOAD=20000 go test -count=1 -timeout 30m -v -run TestTwoWhoTalkAtOnce ./e2e/crash

# What a change has to survive every time: some faults of each kind.
CRASH_FAULTS := 500 after the event is in,429 and retry after 1 s,no answer although the event is in,cut after the event is in
CRASH_FAULTS := $(CRASH_FAULTS),restarts without its transaction ids,M_UNKNOWN_TOKEN,no media repository,a transaction twice at once
CRASH_FAULTS := $(CRASH_FAULTS),connections reset,acknowledgements lost,every message twice,messages refused with 451,local

crash-slice: ## ten minutes of all that, and the negative controls
	@CAUSEWAY_TEST_CRASH=1 go test -count=1 -timeout 15m ./e2e/crash/...
	@go test -tags goolm,failpoint -count=1 -timeout 10m -run 'Death|Look|Schedule|Kill' ./delivery ./failpoint
	@go build -o build/crash ./cmd/crash && build/crash -messages 20 -kills 10 -random-messages 500 \
		-faults '$(CRASH_FAULTS)' -fault-messages 60 -lasts 1500ms -rate 60 -limit 20m
	@for flow in messenger-interop whatsapp-qr; do build/crash -flow $$flow -messages 20 -kills 5 -random-messages 300 -limit 10m || exit 1; done

test: homeserver ## all tests, with the race detector
	go test -race -timeout $(TESTTIME) ./...

test-synapse: .venv-synapse/ready ## the end-to-end stories on Synapse instead of Dendrite (python3 with venv; from PyPI)
	CAUSEWAY_E2E_SYNAPSE=$(CURDIR)/.venv-synapse/bin/python go test -count=1 -timeout $(TESTTIME) ./e2e

.venv-synapse/ready:
	python3 -m venv .venv-synapse && .venv-synapse/bin/pip install -q 'matrix-synapse==1.163.2' && touch $@

check: format vet lint test ## everything that a change has to pass

format:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...
	go vet -tags goolm,failpoint ./... && go vet -tags goolm,nojournal ./...

lint:
	$(STATICCHECK) ./...

fuzz: ## fuzz every codec, FUZZTIME each (10s; make fuzz FUZZTIME=60s for longer)
	@.ci/fuzz $(FUZZTIME)

# The homeserver's first build takes a minute or two: before the tests, not within their time limit.
homeserver:
	@if [ -z "$$DENDRITE_BIN" ]; then \
		echo "homeserver for the end-to-end tests: building it if it is not there yet"; \
		GOFLAGS= CGO_ENABLED=0 go tool -modfile=e2e/hs/go.mod -n dendrite; \
	fi

clean: ## remove what was built here
	rm -rf build
