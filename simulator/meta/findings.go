package meta

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Finding is something that a client or provider did and must not do.
type Finding struct {
	// Kind names the rule that was broken, in words joined by hyphens.
	Kind string `json:"kind"`
	// Detail says who and how; it holds no secrets.
	Detail string `json:"detail"`
	// Time is when it was seen, on the network's clock.
	Time time.Time `json:"time"`
	// Expected is set when [Network.ExpectFinding] announced the kind.
	Expected bool `json:"expected,omitempty"`
}

// findings has a lock of its own, so that a finding can be recorded with or without the model's.
type findings struct {
	mu       sync.Mutex
	all      []Finding
	expected []string
}

// finding records a broken rule. It may be called with or without the model's lock.
func (n *Network) finding(kind, detail string) {
	n.findings.mu.Lock()
	f := Finding{Kind: kind, Detail: detail, Time: n.now(), Expected: slices.Contains(n.findings.expected, kind)}
	n.findings.all = append(n.findings.all, f)
	n.findings.mu.Unlock()
	n.transcript.note(n.now(), fmt.Sprintf("finding %s: %s", kind, detail))
}

// Findings lists the broken rules so far, in order, the expected ones included.
func (n *Network) Findings() []Finding {
	n.findings.mu.Lock()
	defer n.findings.mu.Unlock()
	return slices.Clone(n.findings.all)
}

// ExpectFinding tells that findings of this kind, past and to come, are what a test wants to see.
func (n *Network) ExpectFinding(kind string) {
	n.findings.mu.Lock()
	defer n.findings.mu.Unlock()
	n.findings.expected = append(n.findings.expected, kind)
	for i := range n.findings.all {
		if n.findings.all[i].Kind == kind {
			n.findings.all[i].Expected = true
		}
	}
}

// ClearFindings forgets what was found.
func (n *Network) ClearFindings() {
	n.findings.mu.Lock()
	defer n.findings.mu.Unlock()
	n.findings.all = nil
}
