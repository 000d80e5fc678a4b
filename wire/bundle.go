package wire

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/util/optional"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

// fetchBundle asks for the prekeys of a person's one device.
func (l *link) fetchBundle(ctx context.Context, user types.JID) (*prekey.Bundle, error) {
	answer, err := l.query(ctx, "get", "encrypt", bundleRequest(user))
	var failure queryError
	if errors.As(err, &failure) {
		return nil, codeError(failure.code, bundleCodes())
	} else if err != nil {
		return nil, fmt.Errorf("failed to fetch prekeys: %w", unsent(err))
	}
	list := answer.GetChildByTag("list")
	for _, child := range list.GetChildrenByTag("user") {
		if child.AttrGetter().OptionalJIDOrEmpty("jid") != user {
			continue
		}
		if refusal, ok := child.GetOptionalChildByTag("error"); ok {
			return nil, codeError(refusal.AttrGetter().OptionalInt("code"), bundleCodes())
		}
		return readBundle(child)
	}
	return nil, fmt.Errorf("%w: the answer holds no prekeys", network.ErrNoEncryption)
}

// unsent corrects an unknown outcome of a question: no message has left us yet.
func unsent(err error) error {
	if errors.Is(err, network.ErrOutcomeUnknown) {
		return fmt.Errorf("%w: no answer", network.ErrTemporary)
	}
	return err
}

// readBundle reads prekeys and refuses keys of wrong size or without strength,
// which the Signal library does not.
func readBundle(node waBinary.Node) (*prekey.Bundle, error) {
	registration, err := content(node, "registration", 4)
	if err != nil {
		return nil, err
	}
	identityKey, err := publicKey(node, "identity")
	if err != nil {
		return nil, err
	}
	signedID, signed, err := numberedKey(node.GetChildByTag("skey"))
	if err != nil {
		return nil, err
	}
	signature, err := content(node.GetChildByTag("skey"), "signature", 64)
	if err != nil {
		return nil, err
	}
	onceID, once := optional.NewEmptyUint32(), ecc.ECPublicKeyable(nil)
	if child, ok := node.GetOptionalChildByTag("key"); ok {
		id, key, err := numberedKey(child)
		if err != nil {
			return nil, err
		}
		onceID, once = optional.NewOptionalUint32(id), key
	}
	return prekey.NewBundle(binary.BigEndian.Uint32(registration), 0, onceID, signedID, once, signed,
		[64]byte(signature), identity.NewKey(identityKey)), nil
}

func numberedKey(node waBinary.Node) (uint32, ecc.ECPublicKeyable, error) {
	id, err := content(node, "id", 3)
	if err != nil {
		return 0, nil, err
	}
	key, err := publicKey(node, "value")
	return binary.BigEndian.Uint32(append([]byte{0}, id...)), key, err
}

func publicKey(node waBinary.Node, tag string) (ecc.ECPublicKeyable, error) {
	raw, err := content(node, tag, 32)
	if err != nil {
		return nil, err
	}
	if !strong(raw) {
		return nil, fmt.Errorf("%w: %s is not a usable key", network.ErrNoEncryption, tag)
	}
	return ecc.NewDjbECPublicKey([32]byte(raw)), nil
}

// strong says whether a public key makes shared secrets: points of low order make all of them zero.
func strong(raw []byte) bool {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return false
	}
	public, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return false
	}
	_, err = private.ECDH(public)
	return err == nil
}

func content(node waBinary.Node, tag string, size int) ([]byte, error) {
	child := node.GetChildByTag(tag)
	raw, ok := child.Content.([]byte)
	if !ok || len(raw) != size {
		return nil, fmt.Errorf("%w: %s must have %d bytes", network.ErrNoEncryption, tag, size)
	}
	return raw, nil
}
