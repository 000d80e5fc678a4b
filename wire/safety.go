package wire

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"go.mau.fi/libsignal/ecc"
)

const (
	// safetyRounds and safetyGroups are Signal's numeric fingerprint, version 0.
	safetyRounds = 5200
	safetyGroups = 6
	// safetyGroupBytes are read as one number, of which five digits are kept.
	safetyGroupBytes = 5
	safetyGroupMod   = 100000
)

// Identity is one side of a safety number.
type Identity struct {
	// Key is the public identity key, raw.
	Key [32]byte
	// ID is what stands for the person: the text form of their address on the wire.
	ID string // assumed: U11
}

// SafetyNumber is the 60 digits that two people compare to know that nobody sits
// between them; it is the same whichever side is named first. It fails for a zero
// key or an empty id (docs/protocol.md#keys).
func SafetyNumber(a, b Identity) (string, error) {
	one, err := a.digits()
	if err != nil {
		return "", err
	}
	two, err := b.digits()
	if err != nil {
		return "", err
	}
	if one > two {
		one, two = two, one
	}
	return one + two, nil
}

func (i Identity) digits() (string, error) {
	if i.Key == [32]byte{} || i.ID == "" {
		return "", fmt.Errorf("failed to make a safety number: no key or no id")
	}
	key := append([]byte{ecc.DjbType}, i.Key[:]...)
	hash := append([]byte{0, 0}, key...) // version 0
	hash = append(hash, i.ID...)
	for range safetyRounds {
		sum := sha512.Sum512(append(hash, key...))
		hash = append(hash[:0], sum[:]...)
	}
	digits := make([]byte, 0, safetyGroups*safetyGroupBytes)
	for group := range safetyGroups {
		part := make([]byte, 8)
		copy(part[8-safetyGroupBytes:], hash[group*safetyGroupBytes:(group+1)*safetyGroupBytes])
		digits = fmt.Appendf(digits, "%05d", binary.BigEndian.Uint64(part)%safetyGroupMod)
	}
	return string(digits), nil
}
