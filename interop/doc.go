// Package interop is being a third-party provider under the gatekeeper's offer:
// who may use it, what they must be told and have agreed to, how they are made
// known to a network, the tokens that prove it and the public keys behind them, the
// encrypted files that the network fetches from us, and the calls by which it says
// that something waits (docs/protocol.md#provider).
//
// It is not a chat client and holds no Signal keys: connections are wire's, and it
// knows neither Matrix nor stanzas; its users are plain strings such as
// "@alice:example.eu". What the gatekeeper has not published is kept in the files
// named *_assumed.go and nowhere else.
package interop
