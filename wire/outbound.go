package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"causeway/failpoint"
	"causeway/network"
)

// answerWait is how long an answer may take before its outcome counts as unknown.
const answerWait = 75 * time.Second

// Outgoing is a message on its way out.
type Outgoing struct {
	To types.JID
	ID string
	// Type is the stanza's type, "text", "media" or "reaction"; MediaType says more about media, else it is empty.
	Type, MediaType string
	// Plaintext is the message, without the padding of version 2.
	Plaintext []byte
}

// Found is a person as a lookup finds them.
type Found struct {
	JID  types.JID
	Name string
}

// Send encrypts a message, sends it and waits for the server's acknowledgement,
// whose time it returns. Repeating a message under its id is safe. It must not be
// called inside a transaction of the store.
func (c *Client) Send(ctx context.Context, out Outgoing) (time.Time, error) {
	l, err := c.current()
	if err != nil {
		return time.Time{}, err
	}
	if !c.claim(out.ID) {
		return time.Time{}, fmt.Errorf("%w: the same message is being sent", network.ErrTemporary)
	}
	defer c.release(out.ID)
	envelope, err := l.seal(ctx, out, nil, true)
	if err != nil {
		return time.Time{}, err
	}
	answer, err := l.ask(ctx, out.ID, messageStanza(out, *envelope, l.owner.tagOf(out)))
	if err != nil {
		return time.Time{}, err
	}
	attrs := answer.AttrGetter()
	if code := attrs.OptionalInt("error"); code != 0 {
		return time.Time{}, codeError(code, ackCodes())
	}
	if at := attrs.OptionalUnixTime("t"); !at.IsZero() {
		return at, nil
	}
	return time.Now(), nil
}

// claim marks a message as being sent; two at a time would take each other's acknowledgement.
func (c *Client) claim(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending[id] {
		return false
	}
	c.sending[id] = true
	return true
}

func (c *Client) release(id string) {
	c.mu.Lock()
	delete(c.sending, id)
	c.mu.Unlock()
}

// seal encrypts a message, with a fresh session if there is none or a bundle is
// given. Ratchet and copy for retries are committed before anything is sent, so
// that no message key is ever used twice.
func (l *link) seal(ctx context.Context, out Outgoing, bundle *prekey.Bundle, keep bool) (*waBinary.Node, error) {
	if bundle != nil {
		return l.sealWith(ctx, out, bundle, keep)
	}
	known := false
	err := l.owner.signal.guard.Do(ctx, func(ctx context.Context) (err error) {
		known, err = l.owner.signal.HasSession(ctx, out.To.SignalAddress().String())
		return err
	})
	if err != nil {
		return nil, err
	}
	if known {
		envelope, err := l.sealWith(ctx, out, nil, keep)
		if !errors.Is(err, whatsmeow.ErrNoSession) {
			return envelope, err
		}
		// The person's key changed in this very moment, which ended the session.
	}
	if bundle, err = l.fetchBundle(ctx, out.To); err != nil {
		return nil, err
	}
	return l.sealWith(ctx, out, bundle, keep)
}

// sealWith is seal with a session that is there, or is made of a bundle.
func (l *link) sealWith(ctx context.Context, out Outgoing, bundle *prekey.Bundle, keep bool) (*waBinary.Node, error) {
	signal := l.owner.signal
	attrs := waBinary.Attrs{}
	if out.MediaType != "" {
		attrs["mediatype"] = out.MediaType
	}
	var envelope *waBinary.Node
	err := signal.change(ctx, func(ctx context.Context) (err error) {
		if l.owner.cfg.Franking == nil {
			envelope, _, err = l.inside.EncryptMessageForDevice(ctx, out.Plaintext, out.To, bundle, attrs, nil)
		} else {
			envelope, err = l.encryptAsIs(ctx, out, bundle, attrs)
		}
		if err != nil || !keep {
			return err
		}
		kind := out.Type + ":" + out.MediaType
		return storeFailure("keep a message", signal.rows.PutSent(ctx, out.To.String(), out.ID, kind, out.Plaintext, time.Now()))
	})
	switch {
	case err == nil:
		return envelope, nil
	case errors.Is(err, errStore), ctx.Err() != nil:
		return nil, fmt.Errorf("failed to encrypt: %w", err)
	default:
		return nil, fmt.Errorf("%w: %w", network.ErrNoEncryption, err)
	}
}

// ask sends a stanza and waits for the answer that carries its id.
func (l *link) ask(ctx context.Context, id string, node waBinary.Node) (*waBinary.Node, error) {
	waiter := l.inside.WaitResponse(id)
	if err := l.inside.SendNode(ctx, node); err != nil {
		if errors.Is(err, whatsmeow.ErrNotConnected) {
			return nil, network.ErrNotConnected
		}
		return nil, fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, err)
	}
	if err := l.written(node); err != nil {
		return nil, err
	}
	timer := time.NewTimer(answerWait)
	defer timer.Stop()
	select {
	case answer := <-waiter:
		if answer == nil || (answer.Tag != "iq" && answer.Tag != "ack") {
			return nil, fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, errClosed)
		}
		return answer, nil
	case <-timer.C:
		return nil, fmt.Errorf("%w within %s", network.ErrOutcomeUnknown, answerWait)
	case <-l.socket.Context().Done():
		return nil, fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, errClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, ctx.Err())
	}
}

// written marks that a message is on the socket.
func (l *link) written(node waBinary.Node) error {
	if node.Tag != "message" {
		return nil
	}
	if err := failpoint.Hit(failpoint.FrameWritten); err != nil {
		return fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, err)
	}
	return nil
}

// queryError is an error answer to a query.
type queryError struct{ code int }

func (e queryError) Error() string { return fmt.Sprintf("the network answered with error %d", e.code) }

// query asks the server something; kind is "get" or "set".
func (l *link) query(ctx context.Context, kind, namespace string, content waBinary.Node) (*waBinary.Node, error) {
	id := l.inside.GenerateRequestID()
	answer, err := l.ask(ctx, id, waBinary.Node{
		Tag:     "iq",
		Attrs:   waBinary.Attrs{"id": id, "xmlns": namespace, "type": kind, "to": types.ServerJID},
		Content: []waBinary.Node{content},
	})
	if err != nil {
		return nil, err
	}
	if answer.AttrGetter().OptionalString("type") != "result" {
		failure := answer.GetChildByTag("error")
		return nil, queryError{failure.AttrGetter().OptionalInt("code")}
	}
	return answer, nil
}

// MarkRead tells a person that messages of theirs were read. Nothing waits for an answer, as there is none.
func (c *Client) MarkRead(ctx context.Context, to types.JID, ids []string, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	stamp, _ := c.stamps.get(to.String() + "/" + ids[0])
	return c.post(ctx, receiptStanza(to, ids, at, stamp))
}

// MarkDelivered tells a person late that messages of theirs arrived. Nothing waits for an answer, as there is none.
func (c *Client) MarkDelivered(ctx context.Context, to types.JID, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	stamp, _ := c.stamps.get(to.String() + "/" + ids[0])
	return c.post(ctx, receiptStanza(to, ids, time.Time{}, stamp))
}

// SetTyping tells a person that our user began or stopped typing.
func (c *Client) SetTyping(ctx context.Context, to types.JID, typing bool) error {
	return c.post(ctx, typingStanza(to, typing))
}

// Ping measures a round trip to the server (docs/protocol.md#outcome).
func (c *Client) Ping(ctx context.Context) (time.Duration, error) {
	l, err := c.current()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err = l.query(ctx, "get", "w:p", waBinary.Node{Tag: "ping"}); err != nil {
		return 0, fmt.Errorf("failed to ping: %w", err)
	}
	return time.Since(began), nil
}

func (c *Client) post(ctx context.Context, node waBinary.Node) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	if err = l.inside.SendNode(ctx, node); errors.Is(err, whatsmeow.ErrNotConnected) {
		return network.ErrNotConnected
	} else if err != nil {
		return fmt.Errorf("%w: failed to send a %s: %w", network.ErrTemporary, node.Tag, err)
	}
	return nil
}

// Lookup finds a person by phone number, E.164 with its plus sign.
func (c *Client) Lookup(ctx context.Context, phone string) (Found, error) {
	return c.LookupBy(ctx, ByPhone, phone)
}

// LookupBy finds a person by something that the network knows them by.
func (c *Client) LookupBy(ctx context.Context, key LookupKey, value string) (Found, error) {
	l, err := c.current()
	if err != nil {
		return Found{}, err
	}
	answer, err := l.query(ctx, "get", lookupNamespace, lookupRequest(key, value))
	var failure queryError
	if errors.As(err, &failure) {
		return Found{}, codeError(failure.code, lookupCodes())
	} else if err != nil {
		return Found{}, err
	}
	return lookupAnswer(answer, key, value)
}
