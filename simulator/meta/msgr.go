package meta

import (
	"fmt"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is how Messenger's people differ from WhatsApp's: an account number
// instead of a hidden one, perhaps a username, and no phone number. The rest of a
// [Person] is the same on both, and the two never meet: a provider's user sees the
// people of the product that they are enlisted with, whatever the numbers are.

// Messenger is the person with an account number, who is made on first use: in the region, with
// third-party chats available and not yet turned on.
func (n *Network) Messenger(fbid, name string) *Person {
	if !isAccount(fbid) {
		panic(fmt.Sprintf("account number %q: want 1 to %d digits", fbid, maxAccountDigits))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.usersByFBID[fbid]; u != nil {
		return u.phone
	}
	u := newUser(productMessenger, name)
	u.lid = types.NewJID(fbid, types.MessengerServer)
	n.usersByFBID[fbid] = u
	return n.settleIn(u)
}

// FBID is the account number of somebody on Messenger, empty for others.
func (p *Person) FBID() string {
	if p.user.product != productMessenger {
		return ""
	}
	return p.user.lid.User
}

// SetUsername gives somebody on Messenger a name to be found by, in any case of letters.
func (p *Person) SetUsername(name string) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.username = strings.ToLower(name)
}

// personAt is who an address means to a provider's user of a product, nil if nobody. The model must be locked.
func (n *Network) personAt(product string, jid types.JID) *user {
	switch {
	case jid.Server != serverOf(product):
		return nil
	case product == productMessenger:
		return n.usersByFBID[jid.User]
	}
	return n.usersByLID[jid.User]
}

// serverOf is the part after the @ of a product's people.
func serverOf(product string) string {
	if product == productMessenger {
		return types.MessengerServer
	}
	return types.HiddenUserServer
}

// findOnMessenger tells who has an account number or a username. assumed: U7
func (n *Network) findOnMessenger(d *device, asked binary.Node) (*user, int) {
	fbid, _ := asked.Attrs["fbid"].(string)
	username, _ := asked.Attrs["username"].(string)
	if (fbid == "") == (username == "") || fbid != "" && !isDigits(fbid) || len(username) > maxIdentifier {
		return nil, codeMalformed
	}
	u := n.usersByFBID[fbid]
	for _, other := range n.usersByFBID {
		if username != "" && other.username == strings.ToLower(username) {
			u = other
		}
	}
	return n.foundBy(d, u)
}

// Edit gives a message that the person sent new text, Unsend takes one back, in a group as its admin anybody's.
// Chats within WhatsApp have both; of third-party chats, those on Messenger alone.
func (p *Person) Edit(to, messageID, text string) (id string, err error) {
	if p.inChat(to) {
		return p.editInChat(to, messageID, text)
	}
	return p.changeOwn(to, messageID, func(key value) []byte { return msgrEdit(key, text, p.n.now()) })
}

// Unsend takes a message back that the person sent.
func (p *Person) Unsend(to, messageID string) (id string, err error) {
	if p.inChat(to) {
		return p.revokeInChat(to, messageID)
	}
	return p.changeOwn(to, messageID, msgrRevoke)
}

func (p *Person) changeOwn(to, messageID string, write func(key value) []byte) (string, error) {
	jid, err := p.resolve(to)
	if err != nil {
		return "", err
	} else if p.user.product != productMessenger {
		return "", fmt.Errorf("%s is on WhatsApp: third-party chats there have no edits and no unsending", p.Name())
	}
	return p.Send(to, "text", write(msgrKey(jid, messageID, true)))
}

// frankingOf is what goes beside the ciphertext of a message, spoilt if a fault says so. p.mu is held.
func (p *Person) frankingOf(id string, message sentMessage) []binary.Node {
	nodes := beside(message.plaintext, id)
	if p.n.strikes(FaultFranking, about("message", "", jidText(message.to), p.LID())) != nil {
		nodes[0].Content.([]binary.Node)[0].Content.([]byte)[0] ^= 0xff
	}
	return nodes
}

// showMessenger makes a message of Messenger readable. p.mu is held.
func (p *Person) showMessenger(node binary.Node, from types.JID, plaintext []byte) (*Heard, error) {
	message, err := decodeMessenger(plaintext, tagBeside(node))
	if err != nil {
		return nil, err
	}
	h := heardFrom(node, from)
	message.fill(h)
	// nobody can know that what they take back has never come
	if target := h.Edited; message.changesOwn() && target != "" && !slices.ContainsFunc(p.heard, func(earlier Heard) bool {
		return earlier.ID == target && earlier.From == h.From
	}) {
		p.n.finding("unknown-target", fmt.Sprintf("%s of %s, which was never heard", message.kind, target))
	}
	file, err := message.openFileMessage()
	if err != nil {
		return nil, err
	}
	if file != nil {
		h.Media = p.showMedia(h.From, message.kind, value{message.kind: file})
	}
	return h, nil
}
