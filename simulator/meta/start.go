package meta

import "fmt"

// TB is the part of testing.TB that [Start] needs.
type TB interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Start starts a network for a test, under the timing profile unless an option or
// SIMULATOR_PROFILE says otherwise. At the end of the test it closes the network, fails the test for each
// finding that was not announced with [Network.ExpectFinding], and shows the seed
// and the wire if the test has failed.
func Start(t TB, opts ...Option) *Network {
	t.Helper()
	quiet := []Option{Logf(func(string, ...any) {}), func(o *options) {
		if !o.profileSet {
			o.profile = Timing
		}
	}}
	n, err := New(append(quiet, opts...)...)
	if err != nil {
		t.Fatalf("failed to start the simulated network: %v", err)
		return nil
	}
	t.Cleanup(func() {
		n.Close()
		for _, f := range n.Findings() {
			if !f.Expected {
				t.Errorf("finding (seed %d): %s: %s", n.SeedInUse(), f.Kind, f.Detail)
			}
		}
		if t.Failed() {
			t.Logf("simulated network: seed %d, profile %s; on the wire:\n%s", n.SeedInUse(), n.Profile(), n.Transcript())
		}
	})
	return n
}

// Info is what a client needs to find its way in, as printed and served.
type Info struct {
	Seed     int64  `json:"seed"`
	Profile  string `json:"profile"`
	RootKey  string `json:"root_key"`
	ChatAddr string `json:"chat_addr"`
	ChatURL  string `json:"ws_url"`
	// WSSURL and MediaHost are the same over TLS, under a certificate of CAFile, and ProxyURL leads there by CONNECT.
	WSSURL        string `json:"wss_url"`
	MediaHost     string `json:"media_host"`
	CAFile        string `json:"ca_file,omitempty"`
	ProxyURL      string `json:"proxy_url"`
	EnlistmentURL string `json:"enlistment_url"`
	MetaIssuer    string `json:"meta_issuer"`
	AdminURL      string `json:"admin_url"`
}

// Info tells where the network listens and whom to trust.
func (n *Network) Info() Info {
	return Info{Seed: n.cfg.seed, Profile: string(n.Profile()), RootKey: fmt.Sprintf("%x", n.Root()), ChatAddr: n.ChatAddr(),
		ChatURL: n.ChatURL(), WSSURL: "wss://" + n.tlsAddr + "/ws/chat", MediaHost: n.tlsAddr, CAFile: n.cfg.caFile, ProxyURL: n.ProxyURL(),
		EnlistmentURL: n.EnlistmentURL(), MetaIssuer: n.MetaIssuer(), AdminURL: n.AdminURL()}
}
