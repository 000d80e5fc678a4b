package homeserver

import "time"

// Option changes how a [Server] is made.
type Option func(*options)

type options struct {
	serverName   string
	listen       string
	sharedSecret string
	roomVersion  string
	mediaLimit   int64
	latency      time.Duration
	pushFirst    time.Duration
	pushMost     time.Duration
	pushTimeout  time.Duration
	appservices  []Registration
}

func defaults() options {
	return options{
		serverName:   "localhost",
		listen:       "127.0.0.1:0",
		sharedSecret: "test-only",
		roomVersion:  "11",
		mediaLimit:   100 << 20,
		pushFirst:    20 * time.Millisecond,
		pushMost:     time.Second,
		pushTimeout:  30 * time.Second,
	}
}

// ServerName is the part after the colon of user ids; "localhost" without this option.
func ServerName(name string) Option { return func(o *options) { o.serverName = name } }

// Listen is the address to listen on, which must be loopback; "127.0.0.1:0" without this option.
func Listen(address string) Option { return func(o *options) { o.listen = address } }

// SharedSecret admits registrations at /_synapse/admin/v1/register; "test-only" without this option.
func SharedSecret(secret string) Option { return func(o *options) { o.sharedSecret = secret } }

// DefaultRoomVersion is the version of rooms created without one; "11" without this option.
func DefaultRoomVersion(version string) Option { return func(o *options) { o.roomVersion = version } }

// MediaLimit is the largest upload in bytes; 100 MiB without this option.
func MediaLimit(bytes int64) Option { return func(o *options) { o.mediaLimit = bytes } }

// Latency is added to every answer of the client-server API, after the request took effect; none without this option.
func Latency(d time.Duration) Option { return func(o *options) { o.latency = d } }

// PushBackoff sets the pause after the first refused transaction, doubled each time, and its upper limit; 20 ms and
// 1 s without this option, far less than real servers wait.
func PushBackoff(first, most time.Duration) Option {
	return func(o *options) { o.pushFirst, o.pushMost = first, most }
}

// PushTimeout ends one attempt to deliver a transaction; 30 s without this option.
func PushTimeout(d time.Duration) Option { return func(o *options) { o.pushTimeout = d } }

// Appservice registers an application service from the start. See also [Server.AddAppservice].
func Appservice(reg Registration) Option {
	return func(o *options) { o.appservices = append(o.appservices, reg) }
}
