package bridge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/util/configupgrade"
	"gopkg.in/yaml.v3"

	"causeway/interop"
	"causeway/network"
)

func decode(t *testing.T, text string) Config {
	t.Helper()
	var config Config
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&config))
	return config
}

func TestExampleIsCompleteAndValid(t *testing.T) {
	config := decode(t, networkExample)
	require.NoError(t, config.validate())
	require.False(t, config.Interop.Enabled)
	require.True(t, config.Receipts.Read)
	require.Equal(t, DeliveryBotReceipt, config.Receipts.Delivery)

	// Every key of the structure stands in the example: written back, nothing is new.
	written, err := yaml.Marshal(config)
	require.NoError(t, err)
	require.Empty(t, unknownKeys(t, networkExample, string(written)))
	require.Empty(t, unknownKeys(t, string(written), networkExample))
}

func unknownKeys(t *testing.T, base, written string) []string {
	t.Helper()
	var baseNode, writtenNode yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(base), &baseNode))
	require.NoError(t, yaml.Unmarshal([]byte(written), &writtenNode))
	return merge(baseNode.Content[0], writtenNode.Content[0], "")
}

// upgrade runs bridgev2's own upgrade over a file with our section in it, twice.
func upgrade(t *testing.T, c *Connector, section string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	indent := func(text string) string { return "network:\n    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n" }
	require.NoError(t, os.WriteFile(path, []byte(indent(section)), 0o600))
	example, _, upgrader := c.GetConfig()
	merged := configupgrade.MergeUpgraders(indent(example), &configupgrade.ProxyUpgrader{Target: upgrader, Prefix: []string{"network"}})
	for range 2 {
		_, _, err := configupgrade.Do(path, true, merged)
		require.NoError(t, err)
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var file struct {
		Network yaml.Node `yaml:"network"`
	}
	require.NoError(t, yaml.Unmarshal(data, &file))
	require.NoError(t, file.Network.Decode(&c.config))
	return string(data)
}

func TestUpgradeKeepsWhatWasWritten(t *testing.T) {
	c := New()
	text := upgrade(t, c, "interop:\n    enabled: true\n    products: [whatsapp]\n    consent:\n        version: \"7\"\n    integrator:\n        id: 12\nreceipts:")
	require.True(t, c.config.Interop.Enabled)
	require.Equal(t, []network.Network{network.WhatsApp}, c.config.Interop.Products)
	require.Equal(t, "7", c.config.Interop.Consent.Version)
	require.Equal(t, 12, c.config.Interop.Integrator.ID)
	require.Equal(t, DeliveryBotReceipt, c.config.Receipts.Delivery, "what was left out takes the default")
	require.Contains(t, text, "[agreement] What people type", "comments come from the example")
	require.NoError(t, c.ValidateConfig())
}

func TestAllConfigErrorsAtOnce(t *testing.T) {
	c := New()
	upgrade(t, c, "displayname: '{{.BestName}}'\nreceipts: {delivery: pigeon, raed: true}\nendpoint: {trust_root: zz}\n"+
		"interop: {integrator: {id: 1000}, proxi: 1, products: [signal]}\nlisten: {provider: {address: 'x'}}\nsomething: {else: 1}")
	err := c.ValidateConfig()
	for _, key := range []string{
		"network.receipts.raed: no such key", "network.interop.proxi: no such key", "network.something: no such key",
		"network.displayname", "network.receipts.delivery", "network.endpoint.trust_root", "network.interop.integrator.id",
		"network.listen.provider.address", "network.interop.products[0]",
	} {
		require.ErrorContains(t, err, key)
	}
}

// Half of a simulated network is refused: what is left would be the real one.
func TestEndpointIsWholeOrRefused(t *testing.T) {
	root := strings.Repeat("ab", 32)
	for endpoint, fault := range map[string]string{
		"{}":                               "",
		"{proxy: 'http://127.0.0.1:8080'}": "",
		"{host: '127.0.0.1:1', trust_root: " + root + "}":                             "",
		"{proxy: 'http://127.0.0.1:1', trust_root: " + root + "}":                     "",
		"{host: '127.0.0.1:1'}":                                                       "network.endpoint.host: a simulated network has a root of its own",
		"{trust_root: " + root + "}":                                                  "network.endpoint.trust_root: the real network has another root",
		"{host: '127.0.0.1:1', trust_root: " + root + ", ca_file: /does/not/exist}":   "network.endpoint.ca_file",
		"{proxy: 'http://127.0.0.1:1', ca_file: network.example.yaml}":                "network.endpoint",
		"{proxy: 'http://127.0.0.1:1', trust_root: " + root + ", ca_file: bridge.go}": "no certificate",
	} {
		c := New()
		upgrade(t, c, "endpoint: "+endpoint)
		if err := c.ValidateConfig(); fault == "" {
			require.NoError(t, err, endpoint)
		} else {
			require.ErrorContains(t, err, fault, endpoint)
		}
	}
}

func TestExampleTunesBridgev2s(t *testing.T) {
	text, err := New().Example()
	require.NoError(t, err)
	var file struct {
		Database struct {
			Type string `yaml:"type"`
			URI  string `yaml:"uri"`
			Open int    `yaml:"max_open_conns"`
			Idle int    `yaml:"max_idle_conns"`
		} `yaml:"database"`
		Logging struct {
			Level   string              `yaml:"min_level"`
			Writers []map[string]string `yaml:"writers"`
		} `yaml:"logging"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	require.Equal(t, "sqlite3-fk-wal-fullsync", file.Database.Type)
	for _, parameter := range []string{"_txlock=immediate", "_stmt_cache_size=128", "_cache_size=-65536"} {
		require.Contains(t, file.Database.URI, parameter)
	}
	require.Equal(t, file.Database.Open, file.Database.Idle)
	require.Equal(t, "info", file.Logging.Level)
	require.Equal(t, []map[string]string{{"type": "stdout", "format": "json"}}, file.Logging.Writers)
}

func TestFlowsNeedAnAgreement(t *testing.T) {
	c := New()
	c.config = decode(t, networkExample)
	require.Len(t, c.GetLoginFlows(), 2, "one's own account needs none")
	_, refused := c.refuseLogin([]string{"whatsapp-qr"}, false)
	require.False(t, refused)
	text, refused := c.refuseLogin([]string{"whatsapp-interop"}, false)
	require.True(t, refused)
	require.Contains(t, text, "`login whatsapp-qr`", "what works today")
	c.config.Linked.Enabled = false
	require.Empty(t, c.GetLoginFlows())
	text, _ = c.refuseLogin([]string{"whatsapp-qr"}, false)
	require.Contains(t, text, "turned off")

	c.config.Interop.Config = interop.Config{
		Enabled: true, Integrator: interop.IntegratorConfig{ID: 12}, ChatURL: "ws://127.0.0.1:1/ws/chat",
		EnlistmentURL: "http://127.0.0.1:1", MetaIssuer: "http://127.0.0.1:1", Token: interop.TokenConfig{Issuer: "http://127.0.0.1:2"},
		Media: interop.MediaConfig{BaseURL: "http://127.0.0.1:2/media"},
	}
	require.NoError(t, c.config.Interop.Validate())
	require.Len(t, c.GetLoginFlows(), 1)
	require.Equal(t, "whatsapp-interop", c.GetLoginFlows()[0].ID)
	_, refused = c.refuseLogin(nil, false)
	require.False(t, refused)

	c.config.Interop.Integrator.ID = 0
	require.Empty(t, c.GetLoginFlows())
	for _, args := range [][]string{nil, {"whatsapp-interop"}, {"WhatsApp-Interop"}, {"anything"}} {
		text, refused := c.refuseLogin(args, false)
		require.True(t, refused, args)
		require.Contains(t, text, "no agreement with Meta")
		require.NotContains(t, text, "network.interop", "keys are the administrator's business")
	}
	text, _ = c.refuseLogin(nil, true)
	require.Contains(t, text, "network.interop.integrator.id")
	require.NotContains(t, text, "chat_url", "only what is missing")
}
