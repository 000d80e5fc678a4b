package meta

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is linking by a code of eight characters that the device shows and the phone's
// owner types in: the code protects two ephemeral keys, and those the rest (docs/protocol.md#linked).

const (
	linkCodeRounds = 2 << 16
	linkCodeLength = 8
	wrappedKeySize = 32 + 16 + 32 // salt, IV, key
)

// linkCode is a pairing by code under way. The model's lock guards it.
type linkCode struct {
	owner     *user
	ref       string
	wrapped   []byte // the device's ephemeral key under the code
	ephemeral *ecdh.PrivateKey
	shared    []byte
	finished  chan linkBundle
}

// linkBundle is what the device sends back.
type linkBundle struct {
	wrapped  []byte
	identity [32]byte
}

// displayName is how a device may call itself to the phone's owner.
var displayName = regexp.MustCompile(`^(Chrome|Firefox|Safari|Edge|Opera|IE|Desktop|Electron|Brave|UWP) \([A-Za-z0-9 ._-]+\)$`)

// linkCodeRequest takes the two requests of a device that links by code.
func (n *Network) linkCodeRequest(c *connection, p *pairing, node, child binary.Node) {
	switch child.Attrs["stage"] {
	case "companion_hello":
		n.linkCodeHello(c, p, node, child)
	case "companion_finish":
		n.linkCodeFinish(c, p, node, child)
	default:
		n.finding("bad-link-code", fmt.Sprintf("connection #%d: stage %v", c.id, child.Attrs["stage"]))
		c.send(requestError(node, codeMalformed))
	}
}

func (n *Network) linkCodeHello(c *connection, p *pairing, node, child binary.Node) {
	jid, _ := child.Attrs["jid"].(types.JID)
	wrapped, err := bytesOf(childOf(child, "link_code_pairing_wrapped_companion_ephemeral_pub"), wrappedKeySize)
	auth, authErr := bytesOf(childOf(child, "companion_server_auth_key_pub"), 32)
	display := childOf(child, "companion_platform_display")
	n.mu.Lock()
	u := n.userAt(jid)
	n.mu.Unlock()
	switch {
	case err != nil || authErr != nil || !slices.Equal(auth, p.static[:]) || !displayName.MatchString(contentText(display)):
		c.send(requestError(node, codeMalformed))
		return
	case u == nil:
		c.send(requestError(node, codeNotFound))
		return
	}
	ref := n.secretText()
	n.mu.Lock()
	p.code = &linkCode{owner: u, ref: ref, wrapped: wrapped, finished: make(chan linkBundle, 1)}
	n.mu.Unlock()
	c.send(requestResult(node, binary.Node{Tag: "link_code_companion_reg", Attrs: binary.Attrs{"stage": "companion_hello"},
		Content: []binary.Node{{Tag: "link_code_pairing_ref", Content: []byte(ref)}}}))
	u.phone.noteLinkRequest()
}

func (n *Network) linkCodeFinish(c *connection, p *pairing, node, child binary.Node) {
	data, _ := childOf(child, "link_code_pairing_wrapped_key_bundle").Content.([]byte)
	identity, err := bytesOf(childOf(child, "companion_identity_public"), 32)
	n.mu.Lock()
	code := p.code
	n.mu.Unlock()
	if err != nil || code == nil || code.ephemeral == nil || contentText(childOf(child, "link_code_pairing_ref")) != code.ref ||
		p.keys.identity != [32]byte(identity) {
		n.finding("bad-link-code", fmt.Sprintf("connection #%d: companion_finish does not fit", c.id))
		c.send(requestError(node, codeMalformed))
		return
	}
	c.send(requestResult(node))
	select {
	case code.finished <- linkBundle{data, [32]byte(identity)}:
	default:
		n.finding("bad-link-code", fmt.Sprintf("connection #%d: companion_finish twice", c.id))
	}
}

// contentText is a node's content, which clients write as text or as bytes.
func contentText(node binary.Node) string {
	switch content := node.Content.(type) {
	case []byte:
		return string(content)
	case string:
		return content
	}
	return ""
}

// secretText is a fresh name that nobody can guess.
func (n *Network) secretText() string { return rand.Text() }

var errWrongCode = errors.New("this is not the code that the device shows")

// EnterLinkCode links the device that asked for it under the person's number, by the code that
// the device shows; hyphens do not matter.
func (p *Person) EnterLinkCode(ctx context.Context, code string) (LinkedDevice, error) {
	code = strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(code), "-", ""))
	if len(code) != linkCodeLength {
		return LinkedDevice{}, errWrongCode
	}
	pairing := p.n.pairingByCode(p.user)
	if pairing == nil {
		return LinkedDevice{}, fmt.Errorf("no device asked to be linked with %s: %w", p.Name(), errNoRecord)
	}
	bundle, err := p.exchangeKeys(ctx, pairing, code)
	if err != nil {
		return LinkedDevice{}, err
	}
	secret, err := p.openBundle(pairing, bundle)
	if err != nil {
		return LinkedDevice{}, err
	}
	return p.link(ctx, pairing, secret)
}

func (n *Network) pairingByCode(u *user) *pairing {
	n.mu.Lock()
	defer n.mu.Unlock()
	var newest *pairing
	for _, c := range n.connections {
		if p := c.pairing; p != nil && p.code != nil && p.code.owner == u && p.scan == nil && (newest == nil || c.id > newest.c.id) {
			newest = p
		}
	}
	return newest
}

// exchangeKeys sends the phone's ephemeral key to the device and waits for its keys.
func (p *Person) exchangeKeys(ctx context.Context, pairing *pairing, code string) (linkBundle, error) {
	p.n.mu.Lock()
	lc := pairing.code
	p.n.mu.Unlock()
	ephemeral, shared, err := lc.agree(code)
	if err != nil {
		return linkBundle{}, err
	}
	wrapped := make([]byte, 48, wrappedKeySize)
	_, _ = rand.Read(wrapped) // never fails
	sealed, err := underCode(code, wrapped[:32], wrapped[32:48], ephemeral.PublicKey().Bytes())
	if err != nil {
		return linkBundle{}, err
	}
	p.n.mu.Lock()
	lc.ephemeral, lc.shared = ephemeral, shared
	p.n.mu.Unlock()
	p.mu.Lock()
	identity := p.signal.device.IdentityKey.Pub[:]
	p.mu.Unlock()
	pairing.c.send(binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": types.ServerJID, "type": "link_code_companion_reg",
		"id": "link-" + lc.ref, "t": p.n.now().Unix()}, Content: []binary.Node{{Tag: "link_code_companion_reg",
		Attrs: binary.Attrs{"stage": "primary_hello"}, Content: []binary.Node{
			{Tag: "link_code_pairing_wrapped_primary_ephemeral_pub", Content: append(wrapped, sealed...)},
			{Tag: "primary_identity_pub", Content: identity}, {Tag: "link_code_pairing_ref", Content: []byte(lc.ref)}}}}})
	ctx, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	select {
	case bundle := <-lc.finished:
		return bundle, nil
	case <-pairing.c.ctx.Done():
		return linkBundle{}, errors.New("the device went away")
	case <-ctx.Done():
		return linkBundle{}, fmt.Errorf("the device did not answer: %w", ctx.Err())
	}
}

// agree opens the device's ephemeral key and makes the phone's, and what the two share.
func (lc *linkCode) agree(code string) (ephemeral *ecdh.PrivateKey, shared []byte, err error) {
	if ephemeral, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
		return nil, nil, err
	}
	theirs, err := underCode(code, lc.wrapped[:32], lc.wrapped[32:48], lc.wrapped[48:])
	if err != nil {
		return nil, nil, err
	}
	companionKey, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, nil, errWrongCode
	}
	if shared, err = ephemeral.ECDH(companionKey); err != nil {
		return nil, nil, errWrongCode
	}
	return ephemeral, shared, nil
}

// underCode encrypts or decrypts a key under the code; the two are the same.
func underCode(code string, salt, iv, key []byte) ([]byte, error) {
	secret, err := pbkdf2.Key(sha256.New, code, salt, linkCodeRounds, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(key))
	cipher.NewCTR(block, iv).XORKeyStream(out, key)
	return out, nil
}

// openBundle opens what the device sent, and derives the secret that its identity goes under.
func (p *Person) openBundle(pairing *pairing, bundle linkBundle) (secret []byte, err error) {
	const salt, nonceSize = 32, 12
	if len(bundle.wrapped) < salt+nonceSize {
		return nil, errWrongCode
	}
	p.n.mu.Lock()
	shared := pairing.code.shared
	p.n.mu.Unlock()
	key, err := hkdf.Key(sha256.New, shared, bundle.wrapped[:salt], "link_code_pairing_key_bundle_encryption_key", 32)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, bundle.wrapped[salt:salt+nonceSize], bundle.wrapped[salt+nonceSize:], nil)
	if err != nil || len(plain) != 96 {
		return nil, errWrongCode
	}
	p.mu.Lock()
	own := p.signal.device.IdentityKey
	p.mu.Unlock()
	if !slices.Equal(plain[:32], bundle.identity[:]) || !slices.Equal(plain[32:64], own.Pub[:]) {
		return nil, fmt.Errorf("the bundle is about other identities: %w", errWrongCode)
	}
	private, err := ecdh.X25519().NewPrivateKey(own.Priv[:])
	if err != nil {
		return nil, err
	}
	theirs, err := ecdh.X25519().NewPublicKey(bundle.identity[:])
	if err != nil {
		return nil, err
	}
	between, err := private.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, slices.Concat(shared, between, plain[64:]), nil, "adv_secret", 32)
}

// noteLinkRequest is the phone's notice that a device wants to be linked by code.
func (p *Person) noteLinkRequest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.linkRequests++
	p.change()
}

// WaitLinkRequest waits until a device has asked to be linked under the person's number.
func (p *Person) WaitLinkRequest(ctx context.Context) error {
	return p.wait(ctx, func() bool { return p.linkRequests > 0 })
}
