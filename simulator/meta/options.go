package meta

import (
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"
)

// Option changes how a [Network] is made.
type Option func(*options)

type options struct {
	seed                           int64
	profile                        ProfileName
	profileSet                     bool
	chat, enlistment, admin        string
	tls, proxy, caFile             string
	logf                           func(string, ...any)
	now                            func() time.Time
	shortAccounts                  bool
	messagesPerMinute              int
	lookupsPerMinute, lookupsADay  int
	closeDelay                     time.Duration
	tokenRefetchPause              time.Duration
	transcriptLines                int
	maxUnacknowledged, burstLength int
	pushDelays                     []time.Duration
	pushRetry                      time.Duration
	proxyLimit                     time.Duration
}

func defaults() options {
	return options{
		seed:              time.Now().UnixNano(),
		profile:           Faults,
		chat:              "127.0.0.1:0",
		enlistment:        "127.0.0.1:0",
		admin:             "127.0.0.1:0",
		tls:               "127.0.0.1:0",
		proxy:             "127.0.0.1:0",
		logf:              log.Printf,
		now:               time.Now,
		lookupsPerMinute:  32,
		lookupsADay:       200,
		closeDelay:        2 * time.Second,
		tokenRefetchPause: 30 * time.Second,
		transcriptLines:   4000,
		maxUnacknowledged: 500,
		burstLength:       100,
		pushDelays:        []time.Duration{time.Second, 30 * time.Second, 5 * time.Minute},
		pushRetry:         time.Second,
		proxyLimit:        90 * time.Second,
	}
}

// fromEnvironment reads SIMULATOR_SEED and SIMULATOR_PROFILE, which options override.
func (o *options) fromEnvironment() error {
	if text := os.Getenv("SIMULATOR_SEED"); text != "" {
		seed, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("failed to read SIMULATOR_SEED: %w", err)
		}
		o.seed = seed
	}
	if text := os.Getenv("SIMULATOR_PROFILE"); text != "" {
		profile, err := ParseProfile(text)
		if err != nil {
			return fmt.Errorf("failed to read SIMULATOR_PROFILE: %w", err)
		}
		o.profile, o.profileSet = profile, true
	}
	return nil
}

// Seed fixes the generator of everything random but key material; the default is the clock.
func Seed(seed int64) Option { return func(o *options) { o.seed = seed } }

// Profile chooses how much the network misbehaves: [Faults] by default, [Timing] under [Start].
func Profile(p ProfileName) Option { return func(o *options) { o.profile, o.profileSet = p, true } }

// ListenChat is the address of the chat server, "127.0.0.1:0" by default. Only loopback is accepted.
func ListenChat(address string) Option { return func(o *options) { o.chat = address } }

// ListenEnlistment is the address of the enlistment service and of Meta's key set.
func ListenEnlistment(address string) Option { return func(o *options) { o.enlistment = address } }

// ListenAdmin is the address of the control plane.
func ListenAdmin(address string) Option { return func(o *options) { o.admin = address } }

// Logf takes the network's log lines; they hold no secrets.
func Logf(logf func(string, ...any)) Option { return func(o *options) { o.logf = logf } }

// WithClock replaces the wall clock, which certificates, tokens and times of messages follow.
func WithClock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// ShortAccountIDs makes account ids of the form of phone numbers and the same ones for every
// integrator, so that clients which tell addresses apart by their digits mix people up.
func ShortAccountIDs() Option { return func(o *options) { o.shortAccounts = true } }

// MessageRate limits the messages per minute of one interop account; zero is no limit.
func MessageRate(perMinute int) Option { return func(o *options) { o.messagesPerMinute = perMinute } }

// LookupRate limits how many numbers an interop account may look up (docs/protocol.md#lookup).
func LookupRate(perMinute, perDay int) Option {
	return func(o *options) { o.lookupsPerMinute, o.lookupsADay = perMinute, perDay }
}

// CloseDelay is how long the network keeps a connection open after it has refused or
// ended it, 2 s by default: clients drop a stanza that is followed at once by a close.
func CloseDelay(d time.Duration) Option { return func(o *options) { o.closeDelay = d } }

// ProxyLimit is how long a connection of mode proxy may outlast its client, 90 s by default: a minute without a sign of life,
// and time to end it.
func ProxyLimit(d time.Duration) Option { return func(o *options) { o.proxyLimit = d } }

// checkLoopback refuses every listen address that is not 127.0.0.1 or ::1.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("failed to read listen address %q: %w", address, err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return fmt.Errorf("listen address %q is not on loopback", address)
	}
	return nil
}
