package meta

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
)

// Person is somebody on WhatsApp with the phone in their hand: a Signal store and
// a script, speaking to the server in stanzas but without a socket.
type Person struct {
	n    *Network
	user *user // guarded by the network's lock, except pn, lid and name

	inboxMu sync.Mutex
	inbox   []binary.Node
	arrived chan struct{}

	// mu guards all below, and keeps what the phone sends in order.
	mu           sync.Mutex
	changed      chan struct{} // closed at each change, then replaced
	signal       *signalStore
	identities   int
	sent         map[string]sentMessage
	lastID       int
	lastSent     string      // id of the newest message
	lastEnc      binary.Node // its ciphertext
	lastRequest  int
	heard        []Heard
	index        map[string]int // of heard, by sender and id
	told         int            // how many of heard Hears has given out
	failures     map[string]int // retries asked for, by sender and id
	receipts     []Receipt
	typing       map[string]bool
	pings        []Ping
	autoReceipts bool
	scripts      []func(*Person, Heard)
	chatPhone
}

// sentMessage is kept for those who could not read it.
type sentMessage struct {
	to        types.JID
	kind      string
	plaintext []byte
	time      stamp
}

// Heard is a message that a person's phone decrypted and showed.
type Heard struct {
	// From is the sender's text address, DisplayName what the phone shows for it.
	From, DisplayName string
	ID                string
	// Kind is the content's name in the subset: conversation, extendedTextMessage, imageMessage, reactionMessage …
	Kind string
	// Text is the text or caption; of a reaction, the emoji.
	Text string
	// ReplyTo, ReplyFrom and ReplyText quote another message, empty if there is no quote.
	ReplyTo, ReplyFrom, ReplyText string
	// Reaction, Media and Preview are nil unless the content is one.
	Reaction *HeardReaction
	Media    *HeardMedia
	Preview  *Preview
	// Edited is the id of an earlier message of the sender, whose text is Text now; Removed one that was taken back.
	Edited, Removed string
	// Time is the server's.
	Time time.Time

	// The rest is of chats within WhatsApp. Chat is the group, or the other side by hidden number; FromMe says
	// that a linked device of the person's own sent it, Device which device of the sender.
	Chat   string
	FromMe bool
	Device uint16
	// Mentions are the addresses that the text mentions.
	Mentions  []string
	Forwarded bool
	ViewOnce  bool
	// Vote is a vote in a poll; of a poll, Text is the question.
	Vote *HeardVote
	// Message is all of it, without the copy's wrapper.
	Message *waE2E.Message

	sts string
}

// HeardVote is a vote as the phone showed it: all options that are chosen now.
type HeardVote struct {
	PollID  string
	Options []string
}

// Receipt is what the other side told of a person's message.
type Receipt struct {
	ID, From string
	// Type is delivery, read, or inactive (delivered to a client that is not in use, which phones do not show).
	Type string
	Time time.Time
}

// Ping tells that somebody on a third-party service looked for the person.
type Ping struct {
	DisplayName string
	Integrator  int
}

// initialOneTimeKeys is what a phone uploads at first and whenever the server runs short.
const initialOneTimeKeys = 30

func newPerson(n *Network, u *user) *Person {
	p := &Person{n: n, user: u, index: map[string]int{}, arrived: make(chan struct{}, 1), changed: make(chan struct{}), sent: map[string]sentMessage{},
		failures: map[string]int{}, typing: map[string]bool{}, autoReceipts: true,
		chatPhone: chatPhone{sentChats: map[string]*sentChat{}, keyHolders: map[string]map[string]bool{}, greeted: map[uint16]bool{}}}
	p.renewSignal()
	return p
}

// renewSignal gives the phone new keys and forgets its sessions.
func (p *Person) renewSignal() {
	p.identities++
	registration := 1 + uint32(p.n.roll("registration", fmt.Sprintf("%s/%d", p.user.number(), p.identities))*16379)
	p.signal = newSignalStore(registration)
}

func (p *Person) publicKeys() publicKeys {
	k := p.signal.public()
	k.oneTime = p.signal.generate(initialOneTimeKeys)
	return k
}

// LID is the person's hidden number as a text address, on Messenger the account number.
func (p *Person) LID() string { return jidText(p.user.lid) }

// Phone is the person's number in E.164, empty on Messenger.
func (p *Person) Phone() string {
	if p.user.product == productMessenger {
		return ""
	}
	return "+" + p.user.pn.User
}

// Name is what the person calls themselves; third-party chats do not share it.
func (p *Person) Name() string { return p.user.name }

// nextID is a message id of the network's form that follows from the seed. p.mu is held.
func (p *Person) nextID() string {
	p.lastID++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%d", p.n.cfg.seed, p.user.number(), p.lastID))
	if p.user.product == productMessenger {
		return snowflake(sum)
	}
	return fmt.Sprintf("3EB0%X", sum[:9])
}

// resolve finds the address of a provider's user by text address or visible identifier.
func (p *Person) resolve(to string) (types.JID, error) {
	if strings.HasSuffix(to, "@"+types.InteropServer) {
		return parseJID(to)
	}
	integrators, err := p.Integrators()
	if err != nil {
		return types.JID{}, err
	}
	for _, id := range integrators {
		if text, err := p.Find(id, to); err == nil {
			return parseJID(text)
		}
	}
	return types.JID{}, fmt.Errorf("nobody is enlisted as %q with the integrators %v that %s has turned on", to, integrators, p.Name())
}

// Say sends text to a provider's user, by text address or visible identifier, and returns
// the message's id. An error means that the server did not take it.
func (p *Person) Say(to, text string) (id string, err error) {
	if p.inChat(to) {
		return p.SendMessage(to, &waE2E.Message{Conversation: &text})
	}
	plaintext := encodeText(text)
	if p.user.product == productMessenger {
		plaintext = encodeMessenger(msgrText(text), nil)
	}
	return p.Send(to, "text", plaintext)
}

// Reply sends text that quotes a message the person heard.
func (p *Person) Reply(to Heard, text string) (id string, err error) {
	if to.Chat != "" {
		return p.SendMessage(to.Chat, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &text, ContextInfo: quoting(to)}})
	}
	plaintext := encodeReply(text, to.ID, to.From, to.Text)
	if p.user.product == productMessenger {
		plaintext = encodeMessenger(msgrText(text), value{"stanzaID": to.ID, "participant": to.From})
	}
	return p.Send(to.From, "text", plaintext)
}

// Send encrypts and sends any plaintext, without padding, as a message of kind text, media or reaction. On
// Messenger the plaintext is the application's envelope, which the transport's is put around.
func (p *Person) Send(to, kind string, plaintext []byte) (id string, err error) {
	jid, err := p.resolve(to)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := about("message", "", jidText(jid), p.LID())
	if last := p.lastSent; last != "" && p.n.strikes(FaultSameID, s) != nil {
		id = last
	} else {
		id = p.nextID()
	}
	p.lastSent = id
	if p.n.strikes(FaultUnknownField, s) != nil {
		plaintext = appendField(slices.Clone(plaintext), 99, []byte("unknown"))
	}
	p.sent[id] = sentMessage{jid, kind, plaintext, stamp(p.n.now())}
	return id, p.transmit(id, 0)
}

// transmit encrypts a sent message, anew for a retry, and hands it to the server. p.mu is held.
func (p *Person) transmit(id string, retry int) error {
	message := p.sent[id]
	if !p.signal.hasSession(message.to) {
		if err := p.fetchSession(message.to); err != nil {
			return err
		}
	}
	enc, err := p.seal(id, message)
	if err != nil {
		return fmt.Errorf("failed to encrypt for %s: %w", jidText(message.to), err)
	}
	attrs := binary.Attrs{"id": id, "to": message.to, "type": message.kind}
	if retry > 0 {
		enc.Attrs["count"] = retry
		attrs["device_fanout"], attrs["t"] = false, message.time.seconds()
	}
	content := []binary.Node{enc}
	if p.user.product == productMessenger {
		content = append(content, p.frankingOf(id, message)...)
	}
	answer := p.n.phoneMessage(p.user, binary.Node{Tag: "message", Attrs: attrs, Content: content})
	if code := answer.Attrs["error"]; code != nil {
		return fmt.Errorf("message to %s refused with code %v", jidText(message.to), code)
	}
	return nil
}

// seal pads and encrypts a message, unless a fault wants it otherwise. p.mu is held.
func (p *Person) seal(id string, message sentMessage) (enc binary.Node, err error) {
	s := about("message", "", jidText(message.to), p.LID())
	if p.lastEnc.Tag != "" && p.n.strikes(FaultReplay, s) != nil {
		return p.lastEnc, nil
	}
	plaintext := slices.Clone(message.plaintext)
	if p.user.product == productMessenger {
		plaintext = msgrEnvelope(plaintext, p.n.roll("pad", id))
	} else if p.n.strikes(FaultNoPadding, s) == nil {
		plaintext = pad(plaintext, p.n.roll("pad", id))
	}
	enc, err = p.signal.encrypt(message.to, plaintext)
	if err != nil {
		return enc, err
	}
	enc.Attrs["v"] = encVersion(p.user.product)
	p.lastEnc = binary.Node{Tag: enc.Tag, Attrs: maps.Clone(enc.Attrs), Content: enc.Content}
	return enc, err
}

// fetchSession begins a session with keys from the server. p.mu is held.
func (p *Person) fetchSession(with types.JID) error {
	answer := p.n.bundleForPhone(p.user, with)
	if refusal, found := answer.GetOptionalChildByTag("error"); found {
		return fmt.Errorf("no keys of %s: code %v", jidText(with), refusal.Attrs["code"])
	}
	k, err := readKeyUpload(answer)
	if err != nil {
		return fmt.Errorf("keys of %s: %w", jidText(with), err)
	}
	if key, found := answer.GetOptionalChildByTag("key"); found {
		oneTime, err := readOneTimeKey(key)
		if err != nil {
			return fmt.Errorf("keys of %s: %w", jidText(with), err)
		}
		k.oneTime = []oneTimeKey{oneTime}
	}
	return p.signal.startSession(with, k)
}

// AutoReceipts switches the delivery receipts that the phone sends by itself; on by default.
func (p *Person) AutoReceipts(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.autoReceipts = on
}

var errNeverHeard = errors.New("no such message was heard")

// Deliver sends the delivery receipt of a heard message, Read the read receipt.
func (p *Person) Deliver(id string) error { return p.acknowledge(id, "") }

// Read sends the read receipt of a heard message.
func (p *Person) Read(id string) error { return p.acknowledge(id, "read") }

func (p *Person) acknowledge(id, kind string) error {
	p.mu.Lock()
	index := slices.IndexFunc(p.heard, func(h Heard) bool { return h.ID == id })
	if index < 0 {
		p.mu.Unlock()
		return fmt.Errorf("%s: message %s: %w", p.Name(), id, errNeverHeard)
	}
	h := p.heard[index]
	p.mu.Unlock()
	if h.Chat != "" {
		p.acknowledgeChat(h, kind)
		return nil
	}
	to, err := parseJID(h.From)
	if err != nil {
		return err
	}
	attrs := binary.Attrs{"id": id, "to": to, "sts": h.sts}
	if kind != "" {
		attrs["type"], attrs["t"] = kind, stamp(p.n.now()).seconds()
	}
	p.n.phoneReceipt(p.user, binary.Node{Tag: "receipt", Attrs: attrs})
	return nil
}

// Typing tells a provider's user that the person began or stopped typing.
func (p *Person) Typing(to string, on bool) error {
	if p.inChat(to) {
		return p.typeInChat(to, on)
	}
	jid, err := p.resolve(to)
	if err != nil {
		return err
	}
	state := "paused"
	if on {
		state = "composing"
	}
	p.n.phoneTyping(p.user, binary.Node{Tag: "chatstate", Attrs: binary.Attrs{"to": jid}, Content: []binary.Node{{Tag: state}}})
	return nil
}
