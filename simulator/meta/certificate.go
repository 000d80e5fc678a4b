package meta

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// serverIdentity is what the chat server proves itself with.
type serverIdentity struct {
	root, intermediate *keys.KeyPair
	noise              *ecdh.PrivateKey
}

func newServerIdentity() (serverIdentity, error) {
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return serverIdentity{}, fmt.Errorf("failed to make the server's key: %w", err)
	}
	return serverIdentity{root: keys.NewKeyPair(), intermediate: keys.NewKeyPair(), noise: static}, nil
}

// Root is the key that the chat server's certificates lead to; a client needs it as its trust anchor.
func (n *Network) Root() [32]byte { return *n.identity.root.Pub }

// certificateChain is signed anew for each connection, since a fault may spoil it (docs/protocol.md#handshake).
func (n *Network) certificateChain() ([]byte, error) {
	// Validity is judged by the client's wall clock, whatever the network's says.
	from, to := time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0)
	root, leafKey, issuer := n.identity.root, n.identity.noise.PublicKey().Bytes(), uint32(0)
	switch {
	case n.strikes(FaultCertificateRoot, subject{}) != nil:
		root = keys.NewKeyPair()
	case n.strikes(FaultCertificateLeafKey, subject{}) != nil:
		leafKey = keys.NewKeyPair().Pub[:]
	case n.strikes(FaultCertificateExpired, subject{}) != nil:
		from, to = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	case n.strikes(FaultCertificateEarly, subject{}) != nil:
		from = time.Now().Add(24 * time.Hour)
	case n.strikes(FaultCertificateIssuer, subject{}) != nil:
		issuer = 7
	}
	intermediate, err := certificate(root, 1, issuer, n.identity.intermediate.Pub[:], from, to)
	if err != nil {
		return nil, err
	}
	leaf, err := certificate(n.identity.intermediate, 2, 1, leafKey, from, to)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&waCert.CertChain{Intermediate: intermediate, Leaf: leaf})
}

func certificate(signer *keys.KeyPair, serial, issuer uint32, key []byte, from, to time.Time) (*waCert.CertChain_NoiseCertificate, error) {
	details, err := proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial: &serial, IssuerSerial: &issuer, Key: key,
		NotBefore: proto.Uint64(uint64(from.Unix())), NotAfter: proto.Uint64(uint64(to.Unix())),
	})
	if err != nil {
		return nil, fmt.Errorf("failed to write certificate: %w", err)
	}
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*signer.Priv), details)
	return &waCert.CertChain_NoiseCertificate{Details: details, Signature: signature[:]}, nil
}
