// Package network is the vocabulary that both sides of the bridge share: which
// networks there are, how their accounts are spelled, what can happen on them
// and what can be asked of them.
//
// It is not a client and not a converter: it does no I/O, holds no state and
// knows neither Matrix nor any wire format. The adapters (whatsapp, messenger)
// speak it downwards, portal, puppet and bridge speak it upwards.
package network

// Network names one of the gatekeeper's messengers.
type Network string

// The networks that the gatekeeper had to open (docs/protocol.md#parties).
const (
	WhatsApp  Network = "whatsapp"
	Messenger Network = "messenger"
)

// DisplayName is the network's name as its users know it.
func (n Network) DisplayName() string {
	switch n {
	case WhatsApp:
		return "WhatsApp"
	case Messenger:
		return "Messenger"
	default:
		return string(n)
	}
}

// Known says whether n is one of the networks of this package.
func (n Network) Known() bool {
	return n == WhatsApp || n == Messenger
}
