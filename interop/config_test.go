package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"causeway/network"
)

// completeConfig is one that users can be enlisted with.
func completeConfig() Config {
	return Config{
		Enabled: true, Integrator: IntegratorConfig{ID: 12, Name: "Example"},
		ChatURL: "wss://chat.example.com/ws", EnlistmentURL: "https://enlist.example.com", MetaIssuer: "https://issuer.example.com",
		Token: TokenConfig{Issuer: "https://bridge.example.eu"}, Media: MediaConfig{BaseURL: "https://bridge.example.eu/media"},
	}
}

func TestConfigIsValid(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"empty":               func(c *Config) { *c = Config{} },
		"complete":            func(*Config) {},
		"both networks":       func(c *Config) { c.Products = []network.Network{network.WhatsApp, network.Messenger} },
		"simulated network":   func(c *Config) { c.ChatURL, c.EnlistmentURL = "ws://127.0.0.1:1234/ws/chat", "http://[::1]:99" },
		"username, one house": func(c *Config) { c.Integrator.Identifier, c.Users.Homeservers = Username, []string{"a.eu:8448"} },
		"files":               func(c *Config) { c.Media.BaseURL = "https://bridge.example.eu" },
		"own push secret":     func(c *Config) { c.Push.Secret = "0123456789abcdef0123456789abcdef" },
		"region page":         withPage,
		"proxy":               func(c *Config) { withPage(c); c.Mode = ModeProxy },
		"no region check":     func(c *Config) { c.Region.Check = RegionOff },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := completeConfig()
			change(&cfg)
			require.NoError(t, cfg.Validate())
		})
	}
}

func TestConfigIsRefused(t *testing.T) {
	for _, test := range []struct {
		key    string
		fix    string
		change func(*Config)
	}{
		{"products[1]", "whatsapp or messenger", func(c *Config) { c.Products = []network.Network{"whatsapp", "signal"} }},
		{"integrator.id", "1 to 999", func(c *Config) { c.Integrator.ID = 1000 }},
		{"integrator.id", "1 to 999", func(c *Config) { c.Integrator.ID = -1 }},
		{"integrator.name", "no control characters", func(c *Config) { c.Integrator.Name = "a\nb" }},
		{"integrator.identifier", "own their phone numbers", func(c *Config) { c.Integrator.Identifier = "pn" }},
		{"integrator.identifier", "email or username", func(c *Config) { c.Integrator.Identifier = "fax" }},
		{"integrator.identifier", "use email", func(c *Config) { c.Integrator.Identifier, c.Users.Homeservers = Username, []string{"a.eu", "b.eu"} }},
		{"users.homeservers[0]", "like example.eu", func(c *Config) { c.Users.Homeservers = []string{"@alice:a.eu/"} }},
		{"mode", "use client or proxy", func(c *Config) { c.Mode = "server" }},
		{"mode", "attest_and_header", func(c *Config) { c.Mode = ModeProxy }},
		{"proxy.idle_after", "at least 1s", func(c *Config) { c.Proxy.IdleAfter = Duration(time.Millisecond) }},
		{"proxy.address_lifetime", "at least 10m", func(c *Config) { c.Proxy.AddressLifetime = Duration(time.Minute) }},
		{"mode", "use client", func(c *Config) { c.Mode = "server" }},
		{"chat_url", "use wss", func(c *Config) { c.ChatURL = "ws://chat.example.com" }},
		{"chat_url", "use wss", func(c *Config) { c.ChatURL = "https://chat.example.com" }},
		{"enlistment_url", "use https", func(c *Config) { c.EnlistmentURL = "http://10.0.0.1" }},
		{"enlistment_url", "https://host/path", func(c *Config) { c.EnlistmentURL = "https://user:pass@host" }},
		{"meta_issuer", "https://host/path", func(c *Config) { c.MetaIssuer = "issuer.example.com" }},
		{"token.issuer", "use https", func(c *Config) { c.Token.Issuer = "http://bridge.example.eu" }},
		{"token.issuer", "without a path", func(c *Config) { c.Token.Issuer = "https://bridge.example.eu/" }},
		{"token.lifetime", "1m0s to 5m0s", func(c *Config) { c.Token.Lifetime = Duration(6 * time.Minute) }},
		{"token.lifetime", "1m0s to 5m0s", func(c *Config) { c.Token.Lifetime = Duration(time.Second) }},
		{"token.overlap", "at least 16m0s", func(c *Config) { c.Token.Overlap = Duration(15 * time.Minute) }},
		{"token.rotate_every", "at least 1h0m0s", func(c *Config) { c.Token.RotateEvery = Duration(time.Minute) }},
		{"region.check", "use attest", func(c *Config) { c.Region.Check = "geoip" }},
		{"region.header", "X-Country", func(c *Config) { c.Region.Check = RegionHeader }},
		{"region.header", "X-Country", func(c *Config) { c.Region = RegionConfig{Check: RegionHeader, Header: "X-Country: DE"} }},
		{"region.recheck", "at least 1d", func(c *Config) { c.Region.Recheck = Duration(time.Hour) }},
		{"region.grace", "at least 1h", func(c *Config) { c.Region.Grace = Duration(time.Minute) }},
		{"push.path", "like /interop/push", func(c *Config) { c.Push.Path = "push" }},
		{"push.path", "like /interop/push", func(c *Config) { c.Push.Path = "/" }},
		{"push.path", "like /interop/push", func(c *Config) { c.Push.Path = "/a/../b" }},
		{"push.path", "like /interop/push", func(c *Config) { c.Push.Path = "/push?x=1" }},
		{"push.path", "taken", func(c *Config) { c.Push.Path = "/interop/region" }},
		{"push.path", "taken", func(c *Config) { c.Push.Path = keySetPath }},
		{"push.secret", "at least 32", func(c *Config) { c.Push.Secret = "short" }},
		{"media.base_url", "use https", func(c *Config) { c.Media.BaseURL = "http://bridge.example.eu/media" }},
		{"media.base_url", "https://host/path", func(c *Config) { c.Media.BaseURL = "https://bridge.example.eu/media?x" }},
		{"media.base_url", "without a slash", func(c *Config) { c.Media.BaseURL = "https://bridge.example.eu/media/" }},
		{"media.ttl", "1h0m0s to 30d", func(c *Config) { c.Media.TTL = Duration(31 * 24 * time.Hour) }},
		{"media.ttl", "1h0m0s to 30d", func(c *Config) { c.Media.TTL = Duration(time.Minute) }},
		{"consent.terms_file", "built-in text", func(c *Config) { c.Consent.TermsFile = "no/such/file" }},
	} {
		t.Run(test.key+" "+test.fix, func(t *testing.T) {
			cfg := completeConfig()
			test.change(&cfg)
			err := cfg.Validate()
			require.ErrorContains(t, err, "network.interop."+test.key+": ")
			require.ErrorContains(t, err, test.fix)
			require.Equal(t, 1, len(strings.Split(err.Error(), "\n")), "one fault, one sentence")
		})
	}
}

func TestConfigNamesAllFaultsAtOnce(t *testing.T) {
	cfg := completeConfig()
	cfg.Mode, cfg.ChatURL, cfg.Token.Overlap = "server", "nonsense", Duration(time.Second)
	err := cfg.Validate()
	for _, key := range []string{"mode", "chat_url", "token.overlap"} {
		require.ErrorContains(t, err, "network.interop."+key+": ")
	}
}

func TestConfigMissing(t *testing.T) {
	var empty Config
	require.Equal(t, []string{
		"network.interop.integrator.id", "network.interop.chat_url", "network.interop.enlistment_url",
		"network.interop.meta_issuer", "network.interop.token.issuer", "network.interop.media.base_url",
	}, empty.Missing())
	cfg := completeConfig()
	require.Nil(t, cfg.Missing())
	require.True(t, cfg.Offers(network.WhatsApp))
	require.False(t, cfg.Offers(network.Messenger), "not among the products")
	cfg.Enabled = false
	require.False(t, cfg.Offers(network.WhatsApp))
}

func TestConfigFromYAML(t *testing.T) {
	const text = `
enabled: true
products: [whatsapp, messenger]
integrator: {id: 12, name: Example, identifier: username}
users: {homeservers: [example.eu]}
mode: client
chat_url: wss://chat.example.com
enlistment_url: https://enlist.example.com
meta_issuer: https://issuer.example.com
token: {issuer: "https://bridge.example.eu", lifetime: 2m, rotate_every: 30d, overlap: 1d12h, key_dir: /keys}
region: {check: attest}
push: {path: /hooks/meta, secret: 0123456789abcdef0123456789abcdef}
media: {base_url: "https://bridge.example.eu/media", ttl: 7d, dir: /media}
consent: {terms_file: "", version: "7"}
kill_switch: true
`
	var cfg Config
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&cfg))
	require.NoError(t, cfg.Validate())
	require.Equal(t, Duration(30*24*time.Hour), cfg.Token.RotateEvery)
	require.Equal(t, Duration(36*time.Hour), cfg.Token.Overlap)
	require.True(t, cfg.KillSwitch)
	require.Equal(t, Duration(7*24*time.Hour), cfg.Media.TTL)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.Push.Secret), "0123456789abcdef")
	written, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	require.Contains(t, string(written), "rotate_every: 30d")
	var again Config
	require.NoError(t, yaml.Unmarshal(written, &again))
	require.Equal(t, cfg, again)
}

func FuzzDuration(f *testing.F) {
	for _, text := range []string{"0s", "5m", "30d", "1d12h", "-1h", "d", "99999999d", "1d1d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, again Duration
		if d.UnmarshalText([]byte(text)) != nil {
			return
		}
		require.NoError(t, again.UnmarshalText([]byte(d.String())))
		require.Equal(t, d, again)
	})
}

func TestListenValidate(t *testing.T) {
	for _, good := range []Listen{
		{}, {Address: "127.0.0.1:0"}, {Address: "localhost:1"}, {Address: ":443", TLSCert: "a", TLSKey: "b"},
		{Address: "0.0.0.0:80", TrustedProxy: "192.0.2.1"},
	} {
		require.NoError(t, good.Validate())
	}
	for key, bad := range map[string]Listen{
		"address": {Address: ":8080"}, "tls_cert": {Address: "127.0.0.1:1", TLSCert: "a"}, "trusted_proxy": {TrustedProxy: "proxy"},
	} {
		require.ErrorContains(t, bad.Validate(), "network.listen.provider."+key+": ")
	}
}

// The formats that are not published stay in their files, and say so line by line.
func TestAssumedFormatsAreMarked(t *testing.T) {
	files, err := filepath.Glob("*_assumed.go")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"enlist_assumed.go", "media_assumed.go", "push_assumed.go", "token_assumed.go"}, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Greater(t, strings.Count(string(content), "// assumed: U"), 10, file)
	}
	others, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range others {
		if strings.HasSuffix(file, "_assumed.go") || strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, word := range []string{`json:"iss"`, "json:\"enlistment_id", "/v1/", "urn:meta", "identifier_taken", ".well-known", "X-Interop", "message_waiting", "media-proxy", `"oh"`} {
			require.NotContains(t, withoutComments(string(content)), word, "%s knows a format that is not its own", file)
		}
	}
}

func withoutComments(source string) string {
	var lines []string
	for line := range strings.Lines(source) {
		code, _, _ := strings.Cut(line, "// ")
		lines = append(lines, code)
	}
	return strings.Join(lines, "")
}

func TestRegionPageNeedsAProxy(t *testing.T) {
	cfg := completeConfig()
	require.NoError(t, cfg.ValidateListen(Listen{}))
	withPage(&cfg)
	for _, short := range []Listen{{}, {Address: "127.0.0.1:1"}, {TrustedProxy: proxyIP}} {
		require.ErrorContains(t, cfg.ValidateListen(short), "listen.provider")
	}
	require.NoError(t, cfg.ValidateListen(Listen{Address: "127.0.0.1:1", TrustedProxy: proxyIP}))
}
