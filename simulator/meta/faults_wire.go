package meta

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/socket"
)

// The faults of the wire below stanzas, and of the server as a process.
const (
	// FaultSplitFrame sends the frame of a stanza to a client in two websocket messages, the first of Params["at"]
	// bytes, half of the frame without it. Match.Stanza and Match.Account are the tag and the sender of what is sent.
	FaultSplitFrame FaultKind = "split_frame"
	// FaultOversizeFrame follows a client's stanza with a websocket message that is larger than any frame may be.
	FaultOversizeFrame FaultKind = "oversize_frame"
	// FaultFlood hands out what waits for a client without pause, and without waiting for any of it to be acknowledged.
	FaultFlood FaultKind = "flood"
)

// outFrame is a frame on its way out.
type outFrame struct {
	data []byte
	// cut is the length of the first of two websocket messages that the frame goes in; zero is one message.
	cut int
	// bare is sent as it is, neither sealed nor framed.
	bare bool
}

// splitAt says where the frame of a stanza is to be cut, zero for not at all.
func (c *connection) splitAt(node binary.Node, size int) int {
	f := c.n.strikes(FaultSplitFrame, about(node.Tag, "", textOf(node.Attrs["from"])))
	if f == nil {
		return 0
	}
	return atoi(f.Params["at"], size/2)
}

// oversize is what no client has to take.
func oversize() outFrame {
	return outFrame{data: make([]byte, socket.FrameMaxSize+socket.FrameLengthSize+1), bare: true}
}

// writeOut sends one frame as it is meant to go out.
func (c *connection) writeOut(ctx context.Context, f outFrame) error {
	if f.bare {
		return c.ws.Write(ctx, websocket.MessageBinary, f.data)
	}
	sealed := c.out.Seal(nil, nonce(c.outCounter), f.data, nil)
	c.outCounter++
	if f.cut <= 0 || f.cut >= len(sealed) {
		return c.writeFrame(ctx, sealed)
	}
	frame := append([]byte{byte(len(sealed) >> 16), byte(len(sealed) >> 8), byte(len(sealed))}, sealed...)
	if err := c.ws.Write(ctx, websocket.MessageBinary, frame[:f.cut]); err != nil {
		return err
	}
	return c.ws.Write(ctx, websocket.MessageBinary, frame[f.cut:])
}

// Restart is what a client sees of a server that is started again: all connections end at once, and what was on its way
// and not acknowledged is sent again. With forgetful, everything that waited for clients is lost; keys, people and
// records stay in either case.
func (n *Network) Restart(forgetful bool) {
	n.DropConnections("", dropReset)
	n.mu.Lock()
	defer n.mu.Unlock()
	devices := slices.Collect(maps.Values(n.devices))
	for _, u := range n.usersByLID {
		devices = slices.AppendSeq(devices, maps.Values(u.companions))
	}
	for _, d := range devices {
		d.rewind()
		if forgetful {
			d.waiting, d.held = nil, nil
		}
	}
}

// Reinstall loses the phone's sessions and registers it anew with the same identity key: what a phone does whose data
// were lost while its account was not. Partners are not told.
func (p *Person) Reinstall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	identity := p.signal.device.IdentityKey
	p.renewSignal()
	p.signal.device.IdentityKey = identity
	p.signal.device.SignedPreKey = identity.CreateSignedPreKey(uint32(p.identities))
	keys := p.publicKeys()
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.keys = keys
}

// AskAgain asks a provider's user, by text address, count times for a message as if the phone could not read it, whether
// the message was ever sent or not. The phone's own counting of retries is left alone.
func (p *Person) AskAgain(from, id string, count int) error {
	jid, err := p.resolve(from)
	if err != nil {
		return err
	}
	p.mu.Lock()
	registration := p.signal.public().registration
	p.mu.Unlock()
	for i := range count {
		p.n.phoneReceipt(p.user, binary.Node{Tag: "receipt", Attrs: binary.Attrs{"id": id, "to": jid, "type": "retry"}, Content: []binary.Node{
			{Tag: "retry", Attrs: binary.Attrs{"id": id, "count": i + 1, "t": fmt.Sprint(p.n.now().Unix()), "v": 1}},
			{Tag: "registration", Content: uint32Bytes(registration)},
		}})
	}
	return nil
}

// ForgetKeySets empties the network's memory of what providers' issuers published: it reads again when it next needs to.
func (n *Network) ForgetKeySets() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, i := range n.integrators {
		n.tokens.keys.forget(i.Issuer)
	}
}

// OneTimeKeys is how many one-time prekeys the server has of an account, by account id or text address.
func (n *Network) OneTimeKeys(account string) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.devices {
		if d.answersTo(account) {
			count += len(d.keys.oneTime)
		}
	}
	return count
}
