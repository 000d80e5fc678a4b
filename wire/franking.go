package wire

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
)

// This file is how messages with a franking tag differ on their way: their plaintext
// is encrypted as it is, and the tag goes beside it (docs/protocol.md#messenger).

// version is that of the login's envelopes.
func (c *Client) version() int {
	if c.cfg.Franking == nil {
		return versionPadded
	}
	return versionFilled
}

// tagOf is the tag of a message of ours, nil if it has none. It follows from the
// plaintext, so that a message that is sent again needs nothing else kept.
func (c *Client) tagOf(out Outgoing) []byte {
	if c.cfg.Franking == nil {
		return nil
	}
	return c.cfg.Franking(out.Plaintext)
}

// encryptAsIs encrypts without adding padding, as the library does only for what it
// wraps itself. It runs as holder of the guard and in a transaction.
func (l *link) encryptAsIs(ctx context.Context, out Outgoing, bundle *prekey.Bundle, attrs waBinary.Attrs) (*waBinary.Node, error) {
	address := out.To.SignalAddress()
	builder := session.NewBuilderFromSignal(l.lib.Store, address, serializer)
	if bundle == nil {
		if known, err := l.owner.signal.HasSession(ctx, address.String()); err != nil {
			return nil, err
		} else if !known {
			return nil, whatsmeow.ErrNoSession
		}
	} else {
		err := builder.ProcessBundle(ctx, bundle)
		if errors.Is(err, signalerror.ErrUntrustedIdentity) { // a new key: the old session is of no use
			if err = l.inside.ClearUntrustedIdentity(ctx, out.To); err == nil {
				err = builder.ProcessBundle(ctx, bundle)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("no session from prekeys: %w", err)
		}
	}
	sealed, err := session.NewCipher(builder, address).Encrypt(ctx, out.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("no ciphertext: %w", err)
	}
	attrs["v"], attrs["type"] = versionFilled, "msg"
	if sealed.Type() == protocol.PREKEY_TYPE {
		attrs["type"] = "pkmsg"
	}
	return &waBinary.Node{Tag: "enc", Attrs: attrs, Content: sealed.Serialize()}, nil
}
