package meta

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"math/big"

	"go.mau.fi/libsignal/ecc"
)

// fingerprintRounds is how often a fingerprint is hashed, after Signal's numeric fingerprint of version 0.
const fingerprintRounds = 5200

// SafetyNumber is the 60 digits that the phone shows for a chat with somebody, by their text address. // assumed: U11
func (p *Person) SafetyNumber(other string) (string, error) {
	jid, err := parseJID(other)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	theirs, known := p.signal.identities[signalAddress(jid).String()]
	if !known {
		return "", errors.New("the phone has no key of theirs yet")
	}
	mine := fingerprint(*p.signal.device.IdentityKey.Pub, jidText(p.user.lid))
	yours := fingerprint(theirs, jidText(jid))
	if mine < yours {
		return mine + yours, nil
	}
	return yours + mine, nil
}

// fingerprint is one side's 30 digits.
func fingerprint(key [32]byte, id string) (digits string) {
	public := append([]byte{ecc.DjbType}, key[:]...)
	hash := bytes.Join([][]byte{{0, 0}, public, []byte(id)}, nil)
	for range fingerprintRounds {
		sum := sha512.Sum512(append(hash, public...))
		hash = sum[:]
	}
	limit := big.NewInt(100_000)
	for i := range 6 {
		group := new(big.Int).SetBytes(hash[i*5 : i*5+5])
		digits += fmt.Sprintf("%05d", group.Mod(group, limit))
	}
	return digits
}
