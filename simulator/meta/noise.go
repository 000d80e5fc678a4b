package meta

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/socket"
	"google.golang.org/protobuf/proto"
)

// noise is the responder's half of Noise_XX_25519_AESGCM_SHA256 (docs/protocol.md#handshake).
type noise struct {
	hash, salt []byte
	aead       cipher.AEAD
	counter    uint32
}

func newNoise(header []byte) (*noise, error) {
	name := []byte(socket.NoiseStartPattern)
	aead, err := newAEAD(name)
	if err != nil {
		return nil, err
	}
	ns := &noise{hash: name, salt: name, aead: aead}
	ns.mixHash(header)
	return ns, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(counter uint32) []byte {
	iv := make([]byte, 12)
	binary.BigEndian.PutUint32(iv[8:], counter)
	return iv
}

func (ns *noise) mixHash(data []byte) {
	sum := sha256.Sum256(append(ns.hash[:len(ns.hash):len(ns.hash)], data...))
	ns.hash = sum[:]
}

// expand derives the pair of keys that follows from the salt and a shared secret.
func (ns *noise) expand(secret []byte) (first, second []byte, err error) {
	out, err := hkdf.Key(sha256.New, secret, ns.salt, "", 64)
	if err != nil {
		return nil, nil, err
	}
	return out[:32], out[32:], nil
}

func (ns *noise) mixKey(private *ecdh.PrivateKey, public []byte) error {
	peer, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return fmt.Errorf("failed to read public key: %w", err)
	}
	secret, err := private.ECDH(peer)
	if err != nil {
		return fmt.Errorf("failed to agree on a key: %w", err)
	}
	salt, key, err := ns.expand(secret)
	if err != nil {
		return err
	}
	ns.salt, ns.counter = salt, 0
	ns.aead, err = newAEAD(key)
	return err
}

func (ns *noise) seal(plaintext []byte) []byte {
	ciphertext := ns.aead.Seal(nil, nonce(ns.counter), plaintext, ns.hash)
	ns.counter++
	ns.mixHash(ciphertext)
	return ciphertext
}

func (ns *noise) open(ciphertext []byte) ([]byte, error) {
	plaintext, err := ns.aead.Open(nil, nonce(ns.counter), ciphertext, ns.hash)
	if err != nil {
		return nil, err
	}
	ns.counter++
	ns.mixHash(ciphertext)
	return plaintext, nil
}

// split gives the transport ciphers: what the client writes with, and what it reads with.
func (ns *noise) split() (clientWrites, clientReads cipher.AEAD, err error) {
	first, second, err := ns.expand(nil)
	if err != nil {
		return nil, nil, err
	}
	if clientWrites, err = newAEAD(first); err != nil {
		return nil, nil, err
	}
	clientReads, err = newAEAD(second)
	return clientWrites, clientReads, err
}

// handshake is what a finished handshake tells of the client.
type handshake struct {
	static               [32]byte // the client's Noise static public key
	payload              []byte   // its ClientPayload, serialised
	toServer, fromServer cipher.AEAD
}

var errHandshake = errors.New("bad handshake message")

// respond leads the handshake over readFrame and writeFrame.
func (n *Network) respond(header []byte, readFrame func() ([]byte, error), writeFrame func([]byte) error) (*handshake, error) {
	frame, err := readFrame()
	if err != nil {
		return nil, err
	}
	var hello waWa6.HandshakeMessage
	if err = proto.Unmarshal(frame, &hello); err != nil {
		return nil, fmt.Errorf("failed to read client hello: %w", err)
	}
	theirs := hello.GetClientHello().GetEphemeral()
	if len(theirs) != 32 {
		return nil, fmt.Errorf("client hello: %w", errHandshake)
	}
	ns, err := newNoise(header)
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	answer, err := n.serverHello(ns, ephemeral, theirs)
	if err != nil {
		return nil, err
	}
	if err = writeFrame(answer); err != nil {
		return nil, err
	}
	if frame, err = readFrame(); err != nil {
		return nil, err
	}
	return finishHandshake(ns, ephemeral, frame)
}

func (n *Network) serverHello(ns *noise, ephemeral *ecdh.PrivateKey, theirs []byte) ([]byte, error) {
	ours := ephemeral.PublicKey().Bytes()
	ns.mixHash(theirs)
	ns.mixHash(ours)
	if err := ns.mixKey(ephemeral, theirs); err != nil {
		return nil, err
	}
	static := ns.seal(n.identity.noise.PublicKey().Bytes())
	if err := ns.mixKey(n.identity.noise, theirs); err != nil {
		return nil, err
	}
	chain, err := n.certificateChain()
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&waWa6.HandshakeMessage{ServerHello: &waWa6.HandshakeMessage_ServerHello{
		Ephemeral: ours, Static: static, Payload: ns.seal(chain),
	}})
}

func finishHandshake(ns *noise, ephemeral *ecdh.PrivateKey, frame []byte) (*handshake, error) {
	var finish waWa6.HandshakeMessage
	if err := proto.Unmarshal(frame, &finish); err != nil {
		return nil, fmt.Errorf("failed to read client finish: %w", err)
	}
	static, err := ns.open(finish.GetClientFinish().GetStatic())
	if err != nil || len(static) != 32 {
		return nil, fmt.Errorf("client static: %w", errHandshake)
	}
	if err = ns.mixKey(ephemeral, static); err != nil {
		return nil, err
	}
	hs := &handshake{static: [32]byte(static)}
	if hs.payload, err = ns.open(finish.GetClientFinish().GetPayload()); err != nil {
		return nil, fmt.Errorf("client payload: %w", errHandshake)
	}
	hs.toServer, hs.fromServer, err = ns.split()
	return hs, err
}
