package meta

import (
	"encoding/binary"
	"fmt"

	"go.mau.fi/libsignal/ecc"
	xml "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// publicKeys is what the server keeps of a device's keys.
type publicKeys struct {
	registration uint32
	identity     [32]byte
	signed       signedKey
	oneTime      []oneTimeKey
	// handedOut are the one-time keys that were given away, for each serves one session only.
	handedOut map[uint32][32]byte
}

type signedKey struct {
	id        uint32
	public    [32]byte
	signature [64]byte
}

type oneTimeKey struct {
	id     uint32
	public [32]byte
}

// lowPrekeys is the number of one-time keys below which a device is asked for more.
const lowPrekeys = 5

func uint24(v uint32) []byte      { return binary.BigEndian.AppendUint32(nil, v)[1:] }
func uint32Bytes(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func bytesOf(node xml.Node, length int) ([]byte, error) {
	data, ok := node.Content.([]byte)
	if !ok || len(data) != length {
		return nil, fmt.Errorf("%s: want %d bytes", node.Tag, length)
	}
	return data, nil
}

// readKeyUpload reads the children of a key upload or of the keys in a retry receipt.
func readKeyUpload(node xml.Node) (keys publicKeys, err error) {
	registration, err := bytesOf(childOf(node, "registration"), 4)
	if err != nil {
		return keys, err
	}
	keys.registration = binary.BigEndian.Uint32(registration)
	kind, err := bytesOf(childOf(node, "type"), 1)
	if err != nil || kind[0] != ecc.DjbType {
		return keys, fmt.Errorf("type: want the byte %d", ecc.DjbType)
	}
	identity, err := bytesOf(childOf(node, "identity"), 32)
	if err != nil {
		return keys, err
	}
	keys.identity = [32]byte(identity)
	if keys.signed, err = readSignedKey(childOf(node, "skey")); err != nil {
		return keys, err
	}
	if !keys.signed.signedBy(keys.identity) {
		return keys, fmt.Errorf("skey: signature is not by the identity")
	}
	list := childOf(node, "list")
	for _, child := range list.GetChildren() {
		key, err := readOneTimeKey(child)
		if err != nil {
			return keys, err
		}
		keys.oneTime = append(keys.oneTime, key)
	}
	return keys, nil
}

func readOneTimeKey(node xml.Node) (key oneTimeKey, err error) {
	id, err := bytesOf(childOf(node, "id"), 3)
	if err != nil {
		return key, err
	}
	value, err := bytesOf(childOf(node, "value"), 32)
	if err != nil {
		return key, err
	}
	return oneTimeKey{binary.BigEndian.Uint32(append([]byte{0}, id...)), [32]byte(value)}, nil
}

func readSignedKey(node xml.Node) (key signedKey, err error) {
	plain, err := readOneTimeKey(node)
	if err != nil {
		return key, fmt.Errorf("skey: %w", err)
	}
	signature, err := bytesOf(childOf(node, "signature"), 64)
	if err != nil {
		return key, err
	}
	return signedKey{plain.id, plain.public, [64]byte(signature)}, nil
}

func (k signedKey) signedBy(identity [32]byte) bool {
	return ecc.VerifySignature(ecc.NewDjbECPublicKey(identity), append([]byte{ecc.DjbType}, k.public[:]...), k.signature)
}

// mergeOneTime adds fresh one-time keys; those known already are left alone, and a known id with another key is refused.
func (k *publicKeys) mergeOneTime(fresh []oneTimeKey) error {
	known := map[uint32][32]byte{}
	for id, public := range k.handedOut {
		known[id] = public
	}
	for _, key := range k.oneTime {
		known[key.id] = key.public
	}
	for _, key := range fresh {
		old, found := known[key.id]
		if found && old != key.public {
			return fmt.Errorf("one-time key %d was another one before", key.id)
		}
		if !found {
			known[key.id] = key.public
			k.oneTime = append(k.oneTime, key)
		}
	}
	return nil
}

// take hands out one one-time key for good, nil if none is left.
func (k *publicKeys) take() *oneTimeKey {
	if len(k.oneTime) == 0 {
		return nil
	}
	key := k.oneTime[0]
	k.oneTime = k.oneTime[1:]
	if k.handedOut == nil {
		k.handedOut = map[uint32][32]byte{}
	}
	k.handedOut[key.id] = key.public
	return &key
}

func (k oneTimeKey) node() xml.Node {
	return xml.Node{Tag: "key", Content: []xml.Node{
		{Tag: "id", Content: uint24(k.id)}, {Tag: "value", Content: k.public[:]},
	}}
}

func (k signedKey) node() xml.Node {
	return xml.Node{Tag: "skey", Content: []xml.Node{
		{Tag: "id", Content: uint24(k.id)}, {Tag: "value", Content: k.public[:]}, {Tag: "signature", Content: k.signature[:]},
	}}
}

// nodes is the keys as an upload or a bundle spells them.
func (k *publicKeys) nodes() []xml.Node {
	return []xml.Node{
		{Tag: "registration", Content: uint32Bytes(k.registration)},
		{Tag: "type", Content: []byte{ecc.DjbType}},
		{Tag: "identity", Content: k.identity[:]},
	}
}

// upload stores what a client uploaded; code 0 is success (docs/protocol.md#keys). The model must be locked.
func (n *Network) upload(d *device, node xml.Node) (code int) {
	keys, err := readKeyUpload(node)
	if err != nil {
		n.finding("bad-key-upload", fmt.Sprintf("%s: %v", jidText(d.jid), err))
		return codeMalformed
	}
	if keys.identity != d.keys.identity || keys.registration != d.keys.registration || keys.signed != d.keys.signed {
		n.finding("keys-not-enlisted", fmt.Sprintf("%s: uploaded keys are not those of the enlistment", jidText(d.jid)))
		return codeForbidden
	}
	if err := d.keys.mergeOneTime(keys.oneTime); err != nil {
		n.finding("prekey-replayed", fmt.Sprintf("%s: %v", jidText(d.jid), err))
		return codeForbidden
	}
	d.uploaded = true
	return 0
}

// digest tells a client what the server has of its keys.
func (k *publicKeys) digest() xml.Node {
	list := make([]xml.Node, len(k.oneTime))
	for i, key := range k.oneTime {
		list[i] = xml.Node{Tag: "id", Content: uint24(key.id)}
	}
	signed := k.signed
	return xml.Node{Tag: "digest", Content: append(k.nodes(),
		xml.Node{Tag: "skey", Content: []xml.Node{{Tag: "id", Content: uint24(signed.id)}}},
		xml.Node{Tag: "list", Content: list})}
}

// bundle is the answer to a request for one device's keys; it hands out a one-time key. The model must be locked.
func (n *Network) bundle(k *publicKeys, asked types.JID, s subject) xml.Node {
	if n.strikes(FaultNoBundle, s) != nil {
		return errorUser(asked, codeNotFound)
	}
	signed := k.signed
	if n.strikes(FaultBadSignedPrekey, s) != nil {
		signed.signature[10] ^= 0xff
	}
	content := append(k.nodes(), signed.node())
	if n.strikes(FaultNoOneTimeKey, s) == nil && !n.misfortune("no-one-time-key", fmt.Sprint(asked, len(k.handedOut)), 0.05) {
		if key := k.take(); key != nil {
			content = append(content, key.node())
		}
	}
	return xml.Node{Tag: "user", Attrs: xml.Attrs{"jid": asked, "t": n.now().Unix()}, Content: content}
}

func errorUser(jid types.JID, code int) xml.Node {
	return xml.Node{Tag: "user", Attrs: xml.Attrs{"jid": jid}, Content: []xml.Node{errorNode(code)}}
}

func errorNode(code int) xml.Node {
	return xml.Node{Tag: "error", Attrs: xml.Attrs{"code": code, "text": errorText(code)}}
}
