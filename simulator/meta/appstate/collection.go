package appstate

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"go.mau.fi/whatsmeow/proto/waServerSync"
	"google.golang.org/protobuf/proto"
)

// Collection is one of an account's collections as its phone has it.
type Collection struct {
	// Name is the collection's, such as regular_high.
	Name    string
	Version uint64
	Hash    [128]byte
	records map[string]*waServerSync.SyncdRecord // by the MAC of the index
	patches [][]byte                             // the patch to version i+1
}

// NewCollection is an empty collection.
func NewCollection(name string) *Collection {
	return &Collection{Name: name, records: map[string]*waServerSync.SyncdRecord{}}
}

// clone is a copy that does not change with the original.
func (c *Collection) clone() *Collection {
	copied := *c
	copied.records = maps.Clone(c.records)
	return &copied
}

// fold adds a value to the hash of everything that is set, or takes it out.
func (c *Collection) fold(valueMAC []byte, out bool) {
	expanded, err := hkdf.Key(sha256.New, valueMAC, nil, "WhatsApp Patch Integrity", len(c.Hash))
	if err != nil {
		panic(err) // the length is within what HKDF can make
	}
	for i := 0; i < len(c.Hash); i += 2 {
		now, change := binary.LittleEndian.Uint16(c.Hash[i:]), binary.LittleEndian.Uint16(expanded[i:])
		if out {
			change = -change
		}
		binary.LittleEndian.PutUint16(c.Hash[i:], now+change)
	}
}

func valueMAC(r *waServerSync.SyncdRecord) []byte {
	blob := r.GetValue().GetBlob()
	return blob[max(0, len(blob)-macSize):]
}

// apply makes the changes of a patch to the records and the hash.
func (c *Collection) apply(mutations []*waServerSync.SyncdMutation) {
	for _, m := range mutations {
		index := string(m.GetRecord().GetIndex().GetBlob())
		if before := c.records[index]; before != nil {
			c.fold(valueMAC(before), true)
			delete(c.records, index)
		}
		if m.GetOperation() == waServerSync.SyncdMutation_SET {
			c.fold(valueMAC(m.GetRecord()), false)
			c.records[index] = m.GetRecord()
		}
	}
	c.Version++
}

func (c *Collection) snapshotMAC(k *Key) []byte {
	return mac(sha256.New, k.snapshot, c.Hash[:], number(c.Version), []byte(c.Name))
}

func (c *Collection) patchMAC(k *Key, p *waServerSync.SyncdPatch) []byte {
	parts := [][]byte{p.GetSnapshotMAC()}
	for _, m := range p.GetMutations() {
		parts = append(parts, valueMAC(m.GetRecord()))
	}
	return mac(sha256.New, k.patch, append(parts, number(c.Version), []byte(c.Name))...)
}

// Write makes changes and returns the patch that tells of them.
func (c *Collection) Write(k *Key, changes ...Change) (patch []byte, err error) {
	p := &waServerSync.SyncdPatch{KeyID: &waServerSync.KeyId{ID: k.ID}}
	for _, change := range changes {
		m, err := k.Seal(change)
		if err != nil {
			return nil, err
		}
		p.Mutations = append(p.Mutations, m)
	}
	next := c.clone()
	next.apply(p.Mutations)
	p.SnapshotMAC = next.snapshotMAC(k)
	p.PatchMAC = next.patchMAC(k, p)
	return next.commit(c, p)
}

// commit puts a checked patch into the collection.
func (next *Collection) commit(c *Collection, p *waServerSync.SyncdPatch) ([]byte, error) {
	p.Version = &waServerSync.SyncdVersion{Version: &next.Version}
	data, err := proto.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("failed to write a patch: %w", err)
	}
	next.patches = append(c.patches[:len(c.patches):len(c.patches)], data)
	*c = *next
	return data, nil
}

// Take checks a patch that another device made on top of this version, and takes it in. keys finds a key by id, nil if
// there is none.
func (c *Collection) Take(patch []byte, keys func(id []byte) *Key) ([]Change, error) {
	p := &waServerSync.SyncdPatch{}
	if err := proto.Unmarshal(patch, p); err != nil || len(p.Mutations) == 0 {
		return nil, fmt.Errorf("no patch: %w", ErrInvalid)
	}
	k := keys(p.GetKeyID().GetID())
	if k == nil {
		return nil, fmt.Errorf("unknown key: %w", ErrInvalid)
	}
	var changes []Change
	for _, m := range p.Mutations {
		key := keys(m.GetRecord().GetKeyID().GetID())
		if key == nil {
			return nil, fmt.Errorf("unknown key: %w", ErrInvalid)
		}
		change, err := key.Open(m)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	next := c.clone()
	next.apply(p.Mutations)
	if !hmac.Equal(p.GetSnapshotMAC(), next.snapshotMAC(k)) {
		return nil, fmt.Errorf("MAC of the whole: %w", ErrInvalid)
	}
	if !hmac.Equal(p.GetPatchMAC(), next.patchMAC(k, p)) {
		return nil, fmt.Errorf("MAC of the patch: %w", ErrInvalid)
	}
	_, err := next.commit(c, p)
	return changes, err
}

// Since are the patches after a version, at most limit of them; more says that there are others.
func (c *Collection) Since(version uint64, limit int) (patches [][]byte, more bool) {
	patches = c.patches[min(version, c.Version):]
	if len(patches) > limit {
		return patches[:limit], true
	}
	return patches, false
}

// sorted are the records in an order that does not change.
func (c *Collection) sorted() []*waServerSync.SyncdRecord {
	var list []*waServerSync.SyncdRecord
	for _, index := range slices.Sorted(maps.Keys(c.records)) {
		list = append(list, c.records[index])
	}
	return list
}

// Snapshot is everything that is set now.
func (c *Collection) Snapshot(k *Key) ([]byte, error) {
	return proto.Marshal(&waServerSync.SyncdSnapshot{Version: &waServerSync.SyncdVersion{Version: &c.Version}, Records: c.sorted(),
		Mac: c.snapshotMAC(k), KeyID: &waServerSync.KeyId{ID: k.ID}})
}

// Record is something that is set, with what authenticates it.
type Record struct {
	Change
	KeyID, MAC []byte
}

// Records decrypts everything that is set.
func (c *Collection) Records(keys func(id []byte) *Key) (list []Record, err error) {
	for _, r := range c.sorted() {
		k := keys(r.GetKeyID().GetID())
		if k == nil {
			return nil, fmt.Errorf("unknown key: %w", ErrInvalid)
		}
		change, err := k.Open(&waServerSync.SyncdMutation{Operation: waServerSync.SyncdMutation_SET.Enum(), Record: r})
		if err != nil {
			return nil, err
		}
		list = append(list, Record{change, bytes.Clone(k.ID), bytes.Clone(valueMAC(r))})
	}
	return list, nil
}
