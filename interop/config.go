package interop

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"causeway/network"
)

// IdentifierType is what people of a network type to find our users.
type IdentifierType string

// The identifier types that can be enlisted (docs/protocol.md#terms).
const (
	// Email is localpart@homeserver, in lower case.
	Email IdentifierType = "email"
	// Username is the localpart alone, in lower case.
	Username IdentifierType = "username"
)

// Mode is whose end of the connection the bridge is (docs/protocol.md#contract).
type Mode string

// The modes.
const (
	// ModeClient: the bridge is its users' client, and their connections stay up as long as it runs.
	ModeClient Mode = "client"
	// ModeProxy: the bridge stands in for its users' clients. Their connections last while they are active, and nothing of a
	// message is kept.
	ModeProxy Mode = "proxy"
)

// RegionCheck is how the bridge makes sure that a user is in the EEA.
type RegionCheck string

// The region checks. RegionOff is for tests only: the offer covers nobody outside the EEA.
const (
	// RegionAttest: users state it when they log in.
	RegionAttest RegionCheck = "attest"
	// RegionHeader: they also open a page, through a trusted proxy whose header names the country, and again from time to time.
	RegionHeader RegionCheck = "attest_and_header"
	RegionOff    RegionCheck = "off"
)

const (
	defaultLifetime    = 5 * time.Minute
	defaultRotateEvery = 30 * 24 * time.Hour
	defaultOverlap     = 24 * time.Hour
	defaultTerms       = "1"
	defaultPushPath    = "/interop/push"
	defaultMediaTTL    = 14 * 24 * time.Hour
	// defaultRecheck: people rarely move, and the network looks for itself at each connection; asked daily, they would
	// confirm without reading, or leave.
	defaultRecheck = 30 * 24 * time.Hour
	// defaultGrace spans a weekend without a look at the chat with the bot.
	defaultGrace       = 3 * 24 * time.Hour
	defaultIdle        = time.Minute
	defaultAddressLife = 24 * time.Hour
)

// Config is the `interop` part of the configuration. Zero values take the default.
type Config struct {
	// Enabled offers this account kind, once nothing is [Config.Missing].
	Enabled bool `yaml:"enabled"`
	// Products are the networks to be a provider for; default WhatsApp alone.
	Products   []network.Network `yaml:"products"`
	Integrator IntegratorConfig  `yaml:"integrator"`
	Users      UsersConfig       `yaml:"users"`
	Mode       Mode              `yaml:"mode"`
	Proxy      ProxyConfig       `yaml:"proxy"`
	// ChatURL is the chat server that the agreement names.
	ChatURL string `yaml:"chat_url"`
	// EnlistmentURL is the base of the enlistment service.
	EnlistmentURL string `yaml:"enlistment_url"`
	// MetaIssuer is the issuer of the tokens that the gatekeeper shows to us.
	MetaIssuer string        `yaml:"meta_issuer"`
	Token      TokenConfig   `yaml:"token"`
	Region     RegionConfig  `yaml:"region"`
	Consent    ConsentConfig `yaml:"consent"`
	Push       PushConfig    `yaml:"push"`
	Media      MediaConfig   `yaml:"media"`
	// KillSwitch stops all interop traffic and keeps the data.
	KillSwitch bool `yaml:"kill_switch"`
}

// IntegratorConfig is how the networks know this provider.
type IntegratorConfig struct {
	// ID is the number that the agreement gives, 1 to 999.
	ID int `yaml:"id"`
	// Name is the provider's name as its users are told it.
	Name       string         `yaml:"name"`
	Identifier IdentifierType `yaml:"identifier"`
}

// UsersConfig says who may opt in.
type UsersConfig struct {
	// Homeservers are the server names whose users may opt in; empty means the bridge's own alone.
	Homeservers []string `yaml:"homeservers"`
}

// TokenConfig is about user tokens and the keys that sign them.
type TokenConfig struct {
	// Issuer is our origin, such as https://bridge.example.eu; the key set lies under its well-known path.
	Issuer   string   `yaml:"issuer"`
	Lifetime Duration `yaml:"lifetime"`
	// RotateEvery is how long one key signs; Overlap how long it stays published afterwards.
	RotateEvery Duration `yaml:"rotate_every"`
	Overlap     Duration `yaml:"overlap"`
	// KeyDir is where the private keys are kept; empty means the state directory.
	KeyDir string `yaml:"key_dir"`
}

// ProxyConfig is about [ModeProxy].
type ProxyConfig struct {
	// IdleAfter is how long after a user's last sign of life their connection ends.
	IdleAfter Duration `yaml:"idle_after"`
	// AddressLifetime is how long the address that the region page saw is taken for the user's client's.
	AddressLifetime Duration `yaml:"address_lifetime"`
}

// RegionConfig is about where the users are.
type RegionConfig struct {
	Check RegionCheck `yaml:"check"`
	// Header is the name of the header in which the trusted proxy tells the country.
	Header string `yaml:"header"`
	// Recheck is how long a confirmation is good for, Grace how long users have to answer when they are asked again.
	Recheck Duration `yaml:"recheck"`
	Grace   Duration `yaml:"grace"`
}

// ConsentConfig is about the terms that users agree to.
type ConsentConfig struct {
	// TermsFile replaces the built-in text; {network} and {provider} in it are filled in.
	TermsFile string `yaml:"terms_file"`
	// Version names the wording; a new one asks everybody who enlists again.
	Version string `yaml:"version"`
}

// PushConfig is about the calls by which the network wakes a login.
type PushConfig struct {
	// Path is where the network calls, below the public listener.
	Path string `yaml:"path"`
	// Secret is what the calls are signed with; empty means one that is made at the
	// first start and kept beside the signing keys.
	Secret Secret `yaml:"secret"`
}

// MediaConfig is about the encrypted files that the network's media proxy fetches from us.
type MediaConfig struct {
	// BaseURL is where the files are reached, as registered with the network.
	BaseURL string `yaml:"base_url"`
	// TTL is how long a file is kept.
	TTL Duration `yaml:"ttl"`
	// Dir is where the files lie; empty means a folder in the state directory.
	Dir string `yaml:"dir"`
}

// Secret is a text that must not show in logs.
type Secret string

// String hides the text.
func (Secret) String() string { return "[redacted]" }

// GoString hides the text.
func (Secret) GoString() string { return "[redacted]" }

// withDefaults is the configuration with what was left out filled in.
func (c Config) withDefaults() Config {
	if len(c.Products) == 0 {
		c.Products = []network.Network{network.WhatsApp}
	}
	c.Integrator.Identifier = cmp.Or(c.Integrator.Identifier, Email)
	c.Mode = cmp.Or(c.Mode, ModeClient)
	c.Token.Lifetime = cmp.Or(c.Token.Lifetime, Duration(defaultLifetime))
	c.Token.RotateEvery = cmp.Or(c.Token.RotateEvery, Duration(defaultRotateEvery))
	c.Token.Overlap = cmp.Or(c.Token.Overlap, Duration(defaultOverlap))
	c.Proxy.IdleAfter = cmp.Or(c.Proxy.IdleAfter, Duration(defaultIdle))
	c.Proxy.AddressLifetime = cmp.Or(c.Proxy.AddressLifetime, Duration(defaultAddressLife))
	c.Region.Check = cmp.Or(c.Region.Check, RegionAttest)
	c.Region.Recheck = cmp.Or(c.Region.Recheck, Duration(defaultRecheck))
	c.Region.Grace = cmp.Or(c.Region.Grace, Duration(defaultGrace))
	c.Consent.Version = cmp.Or(c.Consent.Version, defaultTerms)
	c.Push.Path = cmp.Or(c.Push.Path, defaultPushPath)
	c.Media.TTL = cmp.Or(c.Media.TTL, Duration(defaultMediaTTL))
	return c
}

// IdleAfter is how long after a user's last sign of life their connection ends.
func (c *Config) IdleAfter() time.Duration { return time.Duration(c.withDefaults().Proxy.IdleAfter) }

// addressLife is how long clients' addresses are remembered, zero where nobody needs them.
func (c *Config) addressLife() time.Duration {
	if c.Mode != ModeProxy {
		return 0
	}
	return time.Duration(c.Proxy.AddressLifetime)
}

// keyDir is where the provider's private keys and secrets are kept.
func (c *Config) keyDir(env Environment) string { return cmp.Or(c.Token.KeyDir, env.StateDir) }

// Missing names the keys that keep the agreement section from being complete,
// dotted as in the configuration file; nil means that it is complete.
func (c *Config) Missing() []string {
	var missing []string
	for _, key := range []struct {
		path  string
		empty bool
	}{
		{"integrator.id", c.Integrator.ID == 0},
		{"chat_url", c.ChatURL == ""},
		{"enlistment_url", c.EnlistmentURL == ""},
		{"meta_issuer", c.MetaIssuer == ""},
		{"token.issuer", c.Token.Issuer == ""},
		{"media.base_url", c.Media.BaseURL == ""},
	} {
		if key.empty {
			missing = append(missing, configPath+key.path)
		}
	}
	return missing
}

// Offers says whether users of this configuration can be enlisted with the network.
func (c *Config) Offers(n network.Network) bool {
	return c.Enabled && c.Missing() == nil && slices.Contains(c.withDefaults().Products, n)
}

// Duration is a time.Duration that is written with days too, as in "30d" or "1d12h".
type Duration time.Duration

// UnmarshalText reads "5m", "24h", "30d" or "1d12h".
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := parseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration: write it like 5m, 24h or 30d", text)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText writes whole days as such.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the duration as it stands in a configuration file.
func (d Duration) String() string {
	if day := Duration(24 * time.Hour); d != 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return time.Duration(d).String()
}
