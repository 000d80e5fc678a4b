package wire

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// memory is a [Store] in memory, whose transactions can be undone.
type memory struct {
	rows memoryRows
	// fail makes the next write fail; writes counts them.
	fail   error
	writes int
}

type memoryRows struct {
	keys                        []byte
	identities, sessions, taken map[string][]byte
	prekeys                     map[uint32][]byte
	uploaded                    map[uint32]bool
	last                        uint32
	sent                        map[string][]byte
	signed                      map[uint32][]byte
}

var (
	_ Store = (*memory)(nil)

	errBroken = errors.New("broken")
)

func newMemory() *memory {
	return &memory{rows: memoryRows{
		identities: map[string][]byte{}, sessions: map[string][]byte{}, taken: map[string][]byte{},
		prekeys: map[uint32][]byte{}, uploaded: map[uint32]bool{}, sent: map[string][]byte{}, signed: map[uint32][]byte{},
	}}
}

func (m *memory) copy() memoryRows {
	r := m.rows
	r.identities, r.sessions, r.taken = maps.Clone(r.identities), maps.Clone(r.sessions), maps.Clone(r.taken)
	r.prekeys, r.uploaded, r.sent = maps.Clone(r.prekeys), maps.Clone(r.uploaded), maps.Clone(r.sent)
	r.signed = maps.Clone(r.signed)
	return r
}

type inTransaction struct{}

func (m *memory) Transaction(ctx context.Context, fn func(context.Context) error) error {
	if ctx.Value(inTransaction{}) != nil {
		return fn(ctx)
	}
	before := m.copy()
	err := fn(context.WithValue(ctx, inTransaction{}, true))
	if err != nil {
		m.rows = before
	}
	return err
}

func (m *memory) write(fn func()) error {
	if err := m.fail; err != nil {
		m.fail = nil
		return err
	}
	m.writes++
	fn()
	return nil
}

func (m *memory) PrivateKeys(context.Context) ([]byte, error) { return m.rows.keys, nil }
func (m *memory) PutPrivateKeys(_ context.Context, packed []byte) error {
	if m.rows.keys != nil {
		return errBroken
	}
	return m.write(func() { m.rows.keys = packed })
}

func (m *memory) SignedPreKeys(context.Context) (map[uint32][]byte, error) {
	return maps.Clone(m.rows.signed), nil
}

func (m *memory) PutSignedPreKey(_ context.Context, id uint32, packed []byte) error {
	return m.write(func() { m.rows.signed[id] = packed })
}

func (m *memory) DeleteSignedPreKey(_ context.Context, id uint32) error {
	return m.write(func() { delete(m.rows.signed, id) })
}

func (m *memory) Identity(_ context.Context, address string) ([]byte, error) {
	return m.rows.identities[address], nil
}

func (m *memory) PutIdentity(_ context.Context, address string, key []byte) error {
	return m.write(func() { m.rows.identities[address] = slices.Clone(key) })
}

func (m *memory) DeleteIdentity(_ context.Context, address string) error {
	return m.write(func() { delete(m.rows.identities, address) })
}

func (m *memory) Sessions(_ context.Context, addresses []string) (map[string][]byte, error) {
	found := make(map[string][]byte)
	for _, address := range addresses {
		if session, ok := m.rows.sessions[address]; ok {
			found[address] = session
		}
	}
	return found, nil
}

func (m *memory) PutSessions(_ context.Context, sessions map[string][]byte) error {
	return m.write(func() { maps.Copy(m.rows.sessions, sessions) })
}

func (m *memory) DeleteSession(_ context.Context, address string) error {
	return m.write(func() { delete(m.rows.sessions, address) })
}

func (m *memory) PreKey(_ context.Context, id uint32) ([]byte, error) { return m.rows.prekeys[id], nil }

func (m *memory) PendingPreKeys(_ context.Context, limit uint32) (map[uint32][]byte, error) {
	found := make(map[uint32][]byte)
	for _, id := range slices.Sorted(maps.Keys(m.rows.prekeys)) {
		if !m.rows.uploaded[id] && len(found) < int(limit) {
			found[id] = m.rows.prekeys[id]
		}
	}
	return found, nil
}

func (m *memory) LastPreKeyID(context.Context) (uint32, error) { return m.rows.last, nil }

func (m *memory) PutPreKeys(_ context.Context, keys map[uint32][]byte, uploaded bool) error {
	return m.write(func() {
		for id, key := range keys {
			m.rows.prekeys[id], m.rows.uploaded[id], m.rows.last = key, uploaded, max(m.rows.last, id)
		}
	})
}

func (m *memory) MarkPreKeysUploaded(_ context.Context, upTo uint32) error {
	return m.write(func() {
		for id := range m.rows.prekeys {
			m.rows.uploaded[id] = m.rows.uploaded[id] || id <= upTo
		}
	})
}

func (m *memory) CountUploadedPreKeys(context.Context) (count int, err error) {
	for id := range m.rows.prekeys {
		if m.rows.uploaded[id] {
			count++
		}
	}
	return count, nil
}

func (m *memory) DeletePreKey(_ context.Context, id uint32) error {
	return m.write(func() { delete(m.rows.prekeys, id) })
}

func (m *memory) MarkOpened(_ context.Context, hash []byte, _ time.Time) (fresh bool, kept []byte, err error) {
	kept, known := m.rows.taken[string(hash)]
	return !known, kept, m.write(func() { m.rows.taken[string(hash)] = nil })
}

func (m *memory) PutSent(_ context.Context, to, id, kind string, plaintext []byte, _ time.Time) error {
	return m.write(func() { m.rows.sent[to+"/"+id] = append([]byte(kind+"\n"), plaintext...) })
}

func (m *memory) Sent(context.Context, string, string) (string, []byte, error) { return "", nil, nil }
func (m *memory) Prune(context.Context, time.Time) error                       { return nil }
