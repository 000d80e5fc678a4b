package interop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// configPath is where [Config] stands in the configuration file.
const configPath = "network.interop."

const (
	maxIntegrator = 999
	maxNameLength = 64
	// minLifetime leaves room for the clock skew that a verifier allows.
	minLifetime = time.Minute
	// maxLifetime is what we issue at most (docs/protocol.md#token).
	maxLifetime = 5 * time.Minute
	// minOverlap is token life, skew and the key set's max-age together (docs/protocol.md#keyset).
	minOverlap = 16 * time.Minute
	minRotate  = time.Hour
	// minPushSecret is in characters; an HMAC key shorter than its hash is easier to guess than to break.
	minPushSecret = 32
	minMediaTTL   = time.Hour
	maxMediaTTL   = 30 * 24 * time.Hour
	minIdle       = time.Second
	// minAddressLife and minGrace leave time for a link to be opened and used.
	minAddressLife = 2 * RegionLinkLife
	minGrace       = time.Hour
	minRecheck     = 24 * time.Hour
)

// Validate says everything that is wrong with the configuration at once, each
// with the key's path and what to write instead. Keys that are only not filled in
// yet are no error: see [Config.Missing].
func (c *Config) Validate() error {
	full := c.withDefaults()
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s%s: %s", configPath, key, fmt.Sprintf(format, args...)))
	}
	full.validateIdentity(wrong)
	full.validateURLs(wrong)
	full.validateToken(wrong)
	full.validateConsent(wrong)
	full.validatePush(wrong)
	full.validateMedia(wrong)
	return errors.Join(errs...)
}

type complaint func(key, format string, args ...any)

func (c *Config) validateIdentity(wrong complaint) {
	for i, product := range c.Products {
		if !product.Known() {
			wrong(fmt.Sprintf("products[%d]", i), "%q is no network; use whatsapp or messenger", product)
		}
	}
	if c.Integrator.ID < 0 || c.Integrator.ID > maxIntegrator {
		wrong("integrator.id", "%d is out of range; use the number from your agreement, 1 to %d", c.Integrator.ID, maxIntegrator)
	}
	if !printable(c.Integrator.Name, maxNameLength) {
		wrong("integrator.name", "use at most %d characters and no control characters", maxNameLength)
	}
	switch c.Integrator.Identifier {
	case Email:
	case Username:
		if len(c.Users.Homeservers) > 1 {
			wrong("integrator.identifier", "username is the same on two homeservers; use email, or one homeserver in %susers.homeservers", configPath)
		}
	case "pn":
		wrong("integrator.identifier", "pn needs a check that users own their phone numbers, which this program does not have; use email or username")
	default:
		wrong("integrator.identifier", "%q is unknown; use email or username", c.Integrator.Identifier)
	}
	for i, name := range c.Users.Homeservers {
		if !isServerName(name) {
			wrong(fmt.Sprintf("users.homeservers[%d]", i), "%q is no server name; write it as it stands after the colon of a user id, like example.eu", name)
		}
	}
	switch c.Mode {
	case ModeClient:
	case ModeProxy:
		if !c.byPage() {
			wrong("mode", "proxy needs to know where users' clients are; set region.check to attest_and_header, or use client")
		}
	default:
		wrong("mode", "%q is unknown; use client or proxy", c.Mode)
	}
	if time.Duration(c.Proxy.IdleAfter) < minIdle {
		wrong("proxy.idle_after", "%s is too short to send anything; use at least %s", c.Proxy.IdleAfter, Duration(minIdle))
	}
	if time.Duration(c.Proxy.AddressLifetime) < minAddressLife {
		wrong("proxy.address_lifetime", "%s is too short to be answered; use at least %s", c.Proxy.AddressLifetime, Duration(minAddressLife))
	}
}

func (c *Config) validateURLs(wrong complaint) {
	for _, key := range []struct{ name, value, secure, clear string }{
		{"chat_url", c.ChatURL, "wss", "ws"},
		{"enlistment_url", c.EnlistmentURL, "https", "http"},
		{"meta_issuer", c.MetaIssuer, "https", "http"},
		{"token.issuer", c.Token.Issuer, "https", "http"},
	} {
		if key.value == "" {
			continue
		}
		if err := checkURL(key.value, key.secure, key.clear); err != nil {
			wrong(key.name, "%s", err)
		}
	}
	// The issuer is compared as text by whoever verifies, so it has one spelling only.
	if u, err := url.Parse(c.Token.Issuer); err == nil && u.Path != "" {
		wrong("token.issuer", "write the origin alone, without a path or a slash at the end, like https://bridge.example.eu")
	}
}

func (c *Config) validateToken(wrong complaint) {
	if life := time.Duration(c.Token.Lifetime); life < minLifetime || life > maxLifetime {
		wrong("token.lifetime", "%s is out of range; use %s to %s", c.Token.Lifetime, Duration(minLifetime), Duration(maxLifetime))
	}
	if time.Duration(c.Token.Overlap) < minOverlap {
		wrong("token.overlap", "%s is too short for tokens in use; use at least %s", c.Token.Overlap, Duration(minOverlap))
	}
	if time.Duration(c.Token.RotateEvery) < minRotate {
		wrong("token.rotate_every", "%s is too short; use at least %s", c.Token.RotateEvery, Duration(minRotate))
	}
}

func (c *Config) validateConsent(wrong complaint) {
	switch c.Region.Check {
	case RegionAttest, RegionOff:
	case RegionHeader:
		if !isHeaderName(c.Region.Header) {
			wrong("region.header", "%q is no name of a header; write the one in which your proxy names the country, like X-Country", c.Region.Header)
		}
	default:
		wrong("region.check", "%q is unknown; use attest, attest_and_header, or off in tests", c.Region.Check)
	}
	if time.Duration(c.Region.Recheck) < minRecheck {
		wrong("region.recheck", "%s is too short; use at least %s", c.Region.Recheck, Duration(minRecheck))
	}
	if time.Duration(c.Region.Grace) < minGrace {
		wrong("region.grace", "%s is too short to be read and answered; use at least %s", c.Region.Grace, Duration(minGrace))
	}
	if c.Consent.TermsFile != "" {
		if _, err := os.Stat(c.Consent.TermsFile); err != nil {
			wrong("consent.terms_file", "cannot be read (%s); name a text file, or leave it empty for the built-in text", err)
		}
	}
}

func (c *Config) validatePush(wrong complaint) {
	switch clean := path.Clean(c.Push.Path); {
	case clean != c.Push.Path || !strings.HasPrefix(clean, "/") || clean == "/" || strings.ContainsAny(clean, "?#% "):
		wrong("push.path", "%q is no plain path; write it like %s", c.Push.Path, defaultPushPath)
	case clean == keySetPath || clean == discoveryPath || strings.HasPrefix(clean+"/", regionPath):
		wrong("push.path", "%s is taken; write it like %s", c.Push.Path, defaultPushPath)
	}
	if c.Push.Secret != "" && len(c.Push.Secret) < minPushSecret {
		wrong("push.secret", "it is too short; use at least %d characters, or leave it empty and one is made", minPushSecret)
	}
}

func (c *Config) validateMedia(wrong complaint) {
	if c.Media.BaseURL != "" {
		if err := checkURL(c.Media.BaseURL, "https", "http"); err != nil {
			wrong("media.base_url", "%s", err)
		} else if strings.HasSuffix(c.Media.BaseURL, "/") {
			wrong("media.base_url", "write it without a slash at the end, like https://bridge.example.eu/media")
		}
	}
	if life := time.Duration(c.Media.TTL); life < minMediaTTL || life > maxMediaTTL {
		wrong("media.ttl", "%s is out of range; use %s to %s", c.Media.TTL, Duration(minMediaTTL), Duration(maxMediaTTL))
	}
}

// checkURL wants an absolute URL of the secure scheme; the clear one only to the same machine.
func checkURL(text, secure, clear string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no plain URL; write it like %s://host/path", text, secure)
	}
	switch {
	case u.Scheme == secure, u.Scheme == clear && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == clear:
		return fmt.Errorf("%s is only for this very machine (127.0.0.1); use %s", clear, secure)
	default:
		return fmt.Errorf("%q has the wrong scheme; use %s", text, secure)
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// isServerName accepts a host with an optional port, in lower case.
func isServerName(name string) bool {
	host := name
	if h, port, err := net.SplitHostPort(name); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		host = h
	}
	return host != "" && !strings.ContainsAny(host, "/@ *ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

// printable says whether text has at most limit characters, none of them a control character.
func printable(text string, limit int) bool {
	count := 0
	for _, r := range text {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029' || r == '\ufffd' {
			return false
		}
		count++
	}
	return count <= limit
}

// parseDuration is time.ParseDuration with an optional number of days in front.
func parseDuration(text string) (time.Duration, error) {
	count, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(count, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("bad number of days: %w", err)
	}
	var hours time.Duration
	if rest != "" {
		if hours, err = time.ParseDuration(rest); err != nil {
			return 0, err
		}
	}
	return time.Duration(days)*24*time.Hour + hours, nil
}

// isHeaderName says whether a text can name a header (RFC 9110 section 5.1), as far as proxies name theirs.
func isHeaderName(text string) bool {
	return text != "" && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// ValidateListen says what the configuration wants of the listener that it does not have.
func (c *Config) ValidateListen(l Listen) error {
	if c.byPage() && (l.Address == "" || l.TrustedProxy == "") {
		return fmt.Errorf("%sregion.check: attest_and_header needs a page that users open through your proxy; set %saddress and %strusted_proxy, or use attest",
			configPath, listenPath, listenPath)
	}
	return nil
}
