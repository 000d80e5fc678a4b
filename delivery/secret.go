package delivery

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

const (
	secretLength = 32
	// sealVersion stands in front of each sealed payload, so that a later key or scheme can be told apart.
	sealVersion = 1
	// fleetingVersion stands in front of payloads whose key is in the memory of one process and nowhere else: when that has
	// ended, nobody can read them.
	fleetingVersion = 2
	// txnLength is how many characters of the hash a transaction id keeps: 200 bits.
	txnLength = 40
)

// Secret is the instance's own: the root of every key of the journal. Whoever has the database
// but not the secret can read no payload and predict no id.
type Secret struct {
	txn, mark, id []byte
	seal          cipher.AEAD
	// fleeting is this process's own.
	fleeting  cipher.AEAD
	namespace string
}

// OpenSecret reads the instance secret from a file, which nobody but the owner may read. If there
// is no file and create is set, it is made with a new secret and mode 0400. A database that has
// rows already must never get a new secret: its payloads would be lost and its ids would change.
func OpenSecret(path string, create bool) (*Secret, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		return createSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to open the instance secret: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the instance secret %s can be read by others: run chmod 0400 on it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read the instance secret: %w", err)
	}
	root, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(root) != secretLength {
		return nil, fmt.Errorf("the instance secret %s is damaged: restore it from the backup that belongs to the database", path)
	}
	return NewSecret(root)
}

func createSecret(path string) (*Secret, error) {
	root := make([]byte, secretLength)
	_, _ = rand.Read(root)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, fmt.Errorf("failed to create the instance secret: %w", err)
	}
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(root) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, fmt.Errorf("failed to write the instance secret: %w", err)
	}
	return NewSecret(root)
}

// NewSecret derives the journal's keys from a root of 32 random bytes.
func NewSecret(root []byte) (*Secret, error) {
	if len(root) != secretLength {
		return nil, fmt.Errorf("want a secret of %d bytes, not %d", secretLength, len(root))
	}
	keys := map[string][]byte{}
	for _, use := range []string{"transaction", "marker", "message id", "seal", "namespace"} {
		key, err := hkdf.Key(sha256.New, root, nil, "causeway "+use, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("failed to derive a key: %w", err)
		}
		keys[use] = key
	}
	seal, err := newSeal(keys["seal"])
	if err != nil {
		return nil, err
	}
	once := make([]byte, sha256.Size)
	_, _ = rand.Read(once)
	fleeting, err := newSeal(once)
	if err != nil {
		return nil, err
	}
	return &Secret{
		txn: keys["transaction"], mark: keys["marker"], id: keys["message id"], seal: seal, fleeting: fleeting,
		namespace: "causeway." + hex.EncodeToString(keys["namespace"][:5]),
	}, nil
}

func newSeal(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("failed to prepare sealing: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("failed to prepare sealing: %w", err)
	}
	return seal, nil
}

// markerKey is the name under which Matrix events carry their marker.
func (s *Secret) markerKey() string { return s.namespace + ".rid" }

// roomKey is the name under which rooms carry theirs, in their creation event.
func (s *Secret) roomKey() string { return s.namespace + ".portal" }

// transactionID is the id under which an effect is asked of the homeserver, each time the same.
func (s *Secret) transactionID(parts ...string) string {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(digest(s.txn, parts))
	return "cw" + strings.ToLower(text[:txnLength])
}

// marker is what tells an effect's event among all events of a room, and says nothing to others.
func (s *Secret) marker(parts ...string) string {
	return hex.EncodeToString(digest(s.mark, parts))[:32]
}

// messageSeed is what a network's message id is made from: the same for the same Matrix event, and
// predictable for nobody else.
func (s *Secret) messageSeed(parts ...string) []byte { return digest(s.id, parts) }

// digest is an HMAC over parts, each behind its length, so that no two lists of parts collide.
func digest(key []byte, parts []string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}

// lock seals a payload for one row: moved to another, it does not open.
func (s *Secret) lock(payload []byte, row ...string) []byte {
	return lock(s.seal, sealVersion, payload, row)
}

// lockFleeting is lock with the key of this process.
func (s *Secret) lockFleeting(payload []byte, row ...string) []byte {
	return lock(s.fleeting, fleetingVersion, payload, row)
}

func lock(seal cipher.AEAD, version byte, payload []byte, row []string) []byte {
	nonce := make([]byte, seal.NonceSize())
	_, _ = rand.Read(nonce)
	out := append([]byte{version}, nonce...)
	return seal.Seal(out, nonce, payload, digest(nil, row))
}

// Seal seals what else is kept of messages for one row, as the journal's payloads are sealed; Unseal opens it.
func (d *Delivery) Seal(payload []byte, row ...string) []byte { return d.secret.lock(payload, row...) }

// Unseal opens what Seal has sealed for the same row.
func (d *Delivery) Unseal(sealed []byte, row ...string) ([]byte, error) {
	return d.secret.unlock(sealed, row...)
}

// errForgotten is what was sealed with the key of a process that has ended.
var errForgotten = errors.New("the content was kept in the memory of a process that has ended")

// unlock opens a payload that lock or lockFleeting has sealed for the same row. The error is errForgotten if nobody can open it any more.
func (s *Secret) unlock(sealed []byte, row ...string) ([]byte, error) {
	head := 1 + s.seal.NonceSize()
	if len(sealed) < head || sealed[0] != sealVersion && sealed[0] != fleetingVersion {
		return nil, errors.New("not a sealed payload of a known version")
	}
	seal := s.seal
	if sealed[0] == fleetingVersion {
		seal = s.fleeting
	}
	payload, err := seal.Open(nil, sealed[1:head], sealed[head:], digest(nil, row))
	if err != nil && sealed[0] == fleetingVersion {
		return nil, errForgotten
	}
	if err != nil {
		return nil, errors.New("the payload does not open with this instance's secret")
	}
	return payload, nil
}
