package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"causeway/failpoint"
	"causeway/network"
)

// lowPreKeys is the number of one-time prekeys at the server below which more are uploaded.
const lowPreKeys = whatsmeow.MinPreKeyCount

// handle takes one stanza. An error ends the connection, with the stanza not acknowledged.
func (l *link) handle(ctx context.Context, node *waBinary.Node) error {
	switch node.Tag {
	case "success":
		l.spawn(func() {
			err := l.settle(l.socket.Context())
			if err == nil {
				// Not in serve: the receiver may be at work on what waited at the server, and may itself wait for something to be sent.
				l.owner.setLink(l)
			}
			l.ready <- err
		})
		return nil
	case "failure":
		return loginFailure(node)
	case "stream:error":
		return streamFailure(node)
	case "message":
		return l.message(ctx, node)
	case "receipt":
		return l.receipt(ctx, node)
	case "chatstate":
		return l.typing(ctx, node)
	case "notification":
		return l.notification(ctx, node)
	case "call", "status", "appdata":
		l.inside.SendAck(ctx, node, 0) // not part of third-party chats
	}
	return nil // ib, iq, presence: nothing to do
}

// settle makes a new connection ready: enough prekeys at the server, then the
// request for what waits there (docs/protocol.md#outcome).
func (l *link) settle(ctx context.Context) error {
	signal := l.owner.signal
	if err := signal.prune(ctx); err != nil {
		l.owner.cfg.Log.Warn().Err(err).Msg("Old rows of the Signal store were not pruned")
	}
	if err := l.refillPreKeys(ctx); err != nil {
		return err
	}
	_, err := l.query(ctx, "set", "passive", waBinary.Node{Tag: "active"})
	return err
}

func (l *link) refillPreKeys(ctx context.Context) error {
	ours, err := l.owner.signal.UploadedPreKeyCount(ctx)
	if err != nil {
		return err
	}
	theirs, err := l.inside.GetServerPreKeyCount(ctx)
	if err != nil {
		return fmt.Errorf("%w: failed to count prekeys: %w", network.ErrTemporary, err)
	}
	if theirs >= lowPreKeys && ours >= lowPreKeys {
		return nil
	}
	l.inside.UploadPreKeys(ctx, ours == 0 && theirs == 0)
	return nil
}

// message opens an envelope and hands the message on; only then it is confirmed.
func (l *link) message(ctx context.Context, node *waBinary.Node) error {
	if err := failpoint.Hit(failpoint.FrameRead); err != nil {
		return err
	}
	in, envelope, refusal := l.readMessage(node)
	if refusal != 0 {
		l.refuse(ctx, node, refusal)
		return nil
	}
	hand := handing{link: l, in: in}
	err := l.open(ctx, in.From, envelope, hand.take)
	switch {
	case hand.failed != nil:
		return fmt.Errorf("a message was not taken: %w", hand.failed)
	case errors.Is(err, errStore), err != nil && ctx.Err() != nil:
		return err
	case err != nil && !errors.Is(err, errTaken):
		return l.unopened(ctx, node, envelope, in, err)
	}
	ctx = context.WithoutCancel(ctx) // what was taken is also confirmed, even when told to stop
	if hand.refused {
		l.inside.SendAck(ctx, node, refusedContent)
		return nil
	}
	return l.confirm(ctx, node, in)
}

// refuse answers a message of a form that cannot be taken. The answer names the sender as an address, also where the
// message had a text in its place.
func (l *link) refuse(ctx context.Context, node *waBinary.Node, code int) {
	if text, ok := node.Attrs["from"].(string); ok {
		jid, err := types.ParseJID(text)
		if err != nil {
			l.owner.cfg.Log.Warn().Msg("A message of nobody was left unanswered")
			return
		}
		node.Attrs["from"] = jid
	}
	l.inside.SendAck(ctx, node, code)
}

// handing hands one message to the receiver, in the transaction that opens it.
type handing struct {
	link *link
	in   Incoming
	// refused says that the receiver wants no such content, failed why it could not take the message.
	refused bool
	failed  error
}

func (h *handing) take(ctx context.Context, message opened) error {
	if message.changed {
		if h.failed = h.link.changed(ctx, h.in.From); h.failed != nil {
			return h.failed
		}
	}
	h.in.Plaintext = message.plaintext
	err := guarded(func() error { return h.link.owner.cfg.Receiver.ReceiveMessage(ctx, h.in) })
	if h.refused = errors.Is(err, ErrContent); h.refused {
		return nil
	}
	h.failed = err
	return err
}

// open decrypts an envelope; a panic over a malformed one is an error like others.
func (l *link) open(ctx context.Context, from types.JID, envelope *waBinary.Node, take func(context.Context, opened) error) error {
	return guarded(func() error {
		kind := envelope.AttrGetter().OptionalString("type")
		ciphertext, _ := envelope.Content.([]byte)
		return l.owner.signal.open(ctx, l.lib.Store, from, kind, ciphertext, take)
	})
}

// changed reports a new identity key.
func (l *link) changed(ctx context.Context, person types.JID) error {
	err := guarded(func() error { return l.owner.cfg.Receiver.ReceiveIdentity(ctx, person) })
	if err != nil {
		return fmt.Errorf("an identity change was not taken: %w", err)
	}
	return nil
}

// readMessage checks the stanza's form. A refusal is the code to answer with.
func (l *link) readMessage(node *waBinary.Node) (in Incoming, envelope *waBinary.Node, refusal int) {
	attrs := node.AttrGetter()
	in.From, in.ID, in.Time = attrs.JID("from"), attrs.String("id"), attrs.UnixTime("t")
	in.Alias, in.Name = attrs.OptionalJIDOrEmpty("sender_pn"), attrs.OptionalString("notify")
	in.Franking = frankingTag(node)
	if !attrs.OK() || in.ID == "" {
		return in, nil, whatsmeow.NackParsingError
	}
	if !l.isPeer(in.From) {
		return in, nil, whatsmeow.NackUnrecognizedStanza
	}
	in.From = in.From.ToNonAD()
	for _, child := range node.GetChildren() {
		if child.Tag != "enc" {
			continue
		}
		kind := child.AttrGetter().OptionalString("type")
		if envelope != nil || (kind != "msg" && kind != "pkmsg") || child.AttrGetter().OptionalInt("v") != l.owner.version() {
			return in, nil, whatsmeow.NackUnrecognizedStanzaType
		}
		envelope = &child
	}
	if envelope == nil {
		return in, nil, whatsmeow.NackUnrecognizedStanza
	}
	return in, envelope, 0
}

// isPeer says whether stanzas of a sender are for us to take: a person of this network, device 0.
func (l *link) isPeer(from types.JID) bool {
	return from.Server == l.owner.cfg.PeerServer && from.User != "" && from.Device == 0 && from.Integrator == 0
}

// confirm sends the delivery receipt, which ends the message for the server.
func (l *link) confirm(ctx context.Context, node *waBinary.Node, in Incoming) error {
	stamp := stampOf(node)
	if stamp != "" {
		l.owner.stamps.put(in.From.String()+"/"+in.ID, stamp)
	}
	receipt := receiptStanza(in.From, []string{in.ID}, time.Time{}, stamp)
	if withhold := l.owner.cfg.Withhold; withhold != nil && withhold(ctx, in.From) {
		receipt.Attrs["type"] = receiptUnseen
	}
	err := l.inside.SendNode(ctx, receipt)
	if err != nil {
		return fmt.Errorf("failed to confirm a message: %w", err)
	}
	return failpoint.Hit(failpoint.InboxAcked)
}

// unopened reports a message that could not be decrypted and asks its sender for it again.
func (l *link) unopened(ctx context.Context, node, envelope *waBinary.Node, in Incoming, cause error) error {
	l.owner.cfg.Log.Warn().Err(cause).Str("message_id", in.ID).Msg("A message could not be decrypted")
	in.Undecryptable, in.Plaintext = true, nil
	err := guarded(func() error { return l.owner.cfg.Receiver.ReceiveMessage(ctx, in) })
	if err != nil {
		return fmt.Errorf("an undecryptable message was not taken: %w", err)
	}
	if err = l.askAgain(ctx, node, envelope, in); err != nil {
		return err
	}
	l.inside.SendAck(ctx, node, 0)
	return nil
}

func (l *link) receipt(ctx context.Context, node *waBinary.Node) error {
	attrs := node.AttrGetter()
	in := IncomingReceipt{From: attrs.JID("from"), IDs: []string{attrs.String("id")}, Time: attrs.OptionalUnixTime("t")}
	kind := attrs.OptionalString("type")
	if !attrs.OK() {
		l.inside.SendAck(ctx, node, whatsmeow.NackParsingError)
		return nil
	}
	if !l.isPeer(in.From) {
		l.inside.SendAck(ctx, node, 0)
		return nil
	}
	in.From = in.From.ToNonAD()
	if in.Time.IsZero() {
		in.Time = time.Now()
	}
	list := node.GetChildByTag("list")
	for _, item := range list.GetChildrenByTag("item") {
		if id := item.AttrGetter().OptionalString("id"); id != "" {
			in.IDs = append(in.IDs, id)
		}
	}
	switch kind {
	case "retry":
		l.spawn(func() { l.answerRetry(l.socket.Context(), node, in.From) })
		return nil
	case "read":
		in.Read = true
	case "", "inactive":
	default:
		l.inside.SendAck(ctx, node, 0) // played and the like are not part of third-party chats
		return nil
	}
	if err := guarded(func() error { return l.owner.cfg.Receiver.ReceiveReceipt(ctx, in) }); err != nil {
		return fmt.Errorf("a receipt was not taken: %w", err)
	}
	l.inside.SendAck(ctx, node, 0)
	return nil
}

// typing is told once and never repeated, so a failure of the receiver changes nothing.
func (l *link) typing(ctx context.Context, node *waBinary.Node) error {
	from := node.AttrGetter().OptionalJIDOrEmpty("from")
	children := node.GetChildren()
	if !l.isPeer(from) || len(children) != 1 {
		return nil
	}
	err := guarded(func() error {
		return l.owner.cfg.Receiver.ReceiveTyping(ctx, from.ToNonAD(), children[0].Tag == "composing")
	})
	if err != nil {
		l.owner.cfg.Log.Warn().Err(err).Msg("A typing notice was not taken")
	}
	return nil
}

func (l *link) notification(ctx context.Context, node *waBinary.Node) error {
	attrs := node.AttrGetter()
	if attrs.OptionalString("type") == "encrypt" {
		from := attrs.OptionalJIDOrEmpty("from")
		if _, changed := node.GetOptionalChildByTag("identity"); changed && l.isPeer(from) {
			if err := l.forget(ctx, from.ToNonAD()); err != nil {
				return err
			}
		} else if _, low := node.GetOptionalChildByTag("count"); low {
			l.spawn(func() {
				if err := l.refillPreKeys(l.socket.Context()); err != nil {
					l.owner.cfg.Log.Warn().Err(err).Msg("Prekeys were not refilled")
				}
			})
		}
	}
	l.inside.SendAck(ctx, node, 0)
	return nil
}

// forget drops identity and session of a person who has a new identity key, and reports it.
func (l *link) forget(ctx context.Context, person types.JID) error {
	address := person.SignalAddress().String()
	signal := l.owner.signal
	err := signal.change(ctx, func(ctx context.Context) error {
		if err := signal.DeleteIdentity(ctx, address); err != nil {
			return err
		}
		return signal.DeleteSession(ctx, address)
	})
	if err != nil {
		return err
	}
	return l.changed(ctx, person)
}
