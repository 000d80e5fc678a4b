package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/prekey"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"

	"causeway/network"
)

const (
	// mostRetries is how often one message is asked for again, in either direction (docs/protocol.md#nack).
	mostRetries = 5
	// keysFromRetry is the count from which a retry receipt brings fresh keys along.
	keysFromRetry = 2
	// keptRetries bounds the messages whose retries are counted.
	keptRetries = 1024
)

// askAgain sends a retry receipt for a message that could not be opened.
func (l *link) askAgain(ctx context.Context, node, envelope *waBinary.Node, in Incoming) error {
	// After a restart only the message itself knows how often it was asked for.
	return l.askFor(ctx, in.From, in.ID, node.Attrs["t"], envelope.AttrGetter().OptionalInt("count"))
}

// AskAgain asks for a message that was opened here once and is lost.
func (c *Client) AskAgain(ctx context.Context, from types.JID, id string, came time.Time) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	return l.askFor(ctx, from, id, strconv.FormatInt(came.Unix(), 10), 0)
}

// askFor asks for a message that came at t; known is how often it was asked for as far as its sender has said.
func (l *link) askFor(ctx context.Context, from types.JID, id string, t any, known int) error {
	key := from.String() + "/" + id
	asked, _ := l.owner.retries.get(key)
	asked = max(asked, known)
	if asked >= mostRetries {
		return nil
	}
	asked++
	l.owner.retries.put(key, asked)
	registration := binary.BigEndian.AppendUint32(nil, l.owner.cfg.Keys.registrationID)
	content := []waBinary.Node{
		{Tag: "retry", Attrs: waBinary.Attrs{"count": asked, "id": id, "t": t, "v": 1}},
		{Tag: "registration", Content: registration},
	}
	if asked >= keysFromRetry {
		once, err := l.owner.signal.GenOnePreKey(ctx)
		if err != nil {
			return err
		}
		own := l.keys
		content = append(content, waBinary.Node{Tag: "keys", Content: []waBinary.Node{
			{Tag: "type", Content: []byte{ecc.DjbType}},
			{Tag: "identity", Content: own.identity.Pub[:]},
			keyNode("key", once), keyNode("skey", own.signedPrekey),
		}})
	}
	err := l.inside.SendNode(ctx, waBinary.Node{
		Tag: "receipt", Attrs: waBinary.Attrs{"id": id, "to": from, "type": "retry"}, Content: content,
	})
	if err != nil {
		return fmt.Errorf("failed to ask for a message again: %w", err)
	}
	return nil
}

func keyNode(tag string, key *keys.PreKey) waBinary.Node {
	id := binary.BigEndian.AppendUint32(nil, key.KeyID)
	children := []waBinary.Node{{Tag: "id", Content: id[1:]}, {Tag: "value", Content: key.Pub[:]}}
	if key.Signature != nil {
		children = append(children, waBinary.Node{Tag: "signature", Content: key.Signature[:]})
	}
	return waBinary.Node{Tag: tag, Content: children}
}

// answerRetry sends a message of ours once more to a device that could not open it.
func (l *link) answerRetry(ctx context.Context, node *waBinary.Node, to types.JID) {
	err := guarded(func() error { return l.resend(ctx, node, to) })
	if err != nil {
		l.owner.cfg.Log.Warn().Err(err).Msg("A message was not sent again")
		if ctx.Err() != nil || errors.Is(err, network.ErrTemporary) || errors.Is(err, errStore) {
			return // not acknowledged: the server asks again after the next login
		}
	}
	l.inside.SendAck(ctx, node, 0)
}

func (l *link) resend(ctx context.Context, node *waBinary.Node, to types.JID) error {
	request := node.GetChildByTag("retry")
	attrs := request.AttrGetter()
	id, count, at := attrs.String("id"), attrs.Int("count"), attrs.OptionalString("t")
	if err := attrs.Error(); err != nil {
		return fmt.Errorf("malformed retry receipt: %w", err)
	}
	// Counted here as well: what the other side says of itself need not be so.
	key := to.String() + "/" + id
	answered, _ := l.owner.answered.get(key)
	if max(count, answered+1) > mostRetries {
		return fmt.Errorf("asked for %d times", max(count, answered+1))
	}
	l.owner.answered.put(key, answered+1)
	kind, plaintext, err := l.owner.signal.rows.Sent(ctx, to.String(), id)
	if err != nil {
		return storeFailure("read a sent message", err)
	} else if plaintext == nil {
		return errors.New("not known here, or too old")
	}
	bundle, err := l.retryBundle(ctx, node, to, count)
	if err != nil {
		return err
	}
	out := Outgoing{To: to, ID: id, Plaintext: plaintext}
	out.Type, out.MediaType, _ = strings.Cut(kind, ":")
	envelope, err := l.seal(ctx, out, bundle, false)
	if err != nil {
		return err
	}
	envelope.Attrs["count"] = count
	stanza := messageStanza(out, *envelope, l.owner.tagOf(out))
	stanza.Attrs["device_fanout"] = false
	if at != "" {
		stanza.Attrs["t"] = at
	}
	if err = l.inside.SendNode(ctx, stanza); err != nil {
		return fmt.Errorf("%w: %w", network.ErrTemporary, err)
	}
	return nil
}

// retryBundle is the fresh keys that came with a retry receipt, or the server's
// where the session looks broken; nil keeps the session.
func (l *link) retryBundle(ctx context.Context, node *waBinary.Node, to types.JID, count int) (*prekey.Bundle, error) {
	if fresh, ok := node.GetOptionalChildByTag("keys"); ok {
		registration := node.GetChildByTag("registration")
		fresh.Content = append([]waBinary.Node{registration}, fresh.GetChildren()...)
		return readBundle(fresh)
	}
	if count < keysFromRetry {
		return nil, nil
	}
	return l.fetchBundle(ctx, to)
}
