package meta

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waSyncAction"
	"go.mau.fi/whatsmeow/proto/waSyncdSnapshotRecovery"
	"google.golang.org/protobuf/proto"

	"causeway/simulator/meta/appstate"
)

// This file is what a person does to their chats and contacts for themselves, which the linked devices follow.

// Set changes something of the state that the account's devices share.
func (p *Person) Set(collection string, index []string, version int32, value *waSyncAction.SyncActionValue) error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	c := p.user.state.collections[collection]
	if c == nil {
		return fmt.Errorf("collection %q: %w", collection, errNoRecord)
	}
	key, err := p.stateKey()
	if err != nil {
		return err
	}
	if value != nil && value.Timestamp == nil {
		value.Timestamp = proto.Int64(p.n.now().UnixMilli())
	}
	if _, err := c.Write(key, appstate.Change{Index: index, Version: version, Value: value}); err != nil {
		return err
	}
	p.n.tellState(p.user, c, nil)
	return nil
}

// stateKey is the newest of the account's keys, made when first needed. The model must be locked.
func (p *Person) stateKey() (*appstate.Key, error) {
	s := p.user.state
	if len(s.keys) == 0 {
		if err := p.newStateKey(); err != nil {
			return nil, err
		}
	}
	return s.keys[len(s.keys)-1], nil
}

func (p *Person) newStateKey() error {
	s := p.user.state
	data := make([]byte, 32)
	_, _ = rand.Read(data) // never fails
	key, err := appstate.NewKey(binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(len(s.keys)+1)), data)
	if err != nil {
		return err
	}
	s.keys = append(s.keys, key)
	return nil
}

// chatIndex is an index about a chat by any of its names.
func (p *Person) chatIndex(what, chat string) ([]string, error) {
	jid, err := p.chatOf(chat)
	if err != nil {
		return nil, err
	}
	return []string{what, p.n.canonical(jid).String()}, nil
}

// Mute silences a chat until a time, the zero one for ever; unmute with on false.
func (p *Person) Mute(chat string, on bool, until time.Time) error {
	index, err := p.chatIndex("mute", chat)
	if err != nil {
		return err
	}
	action := &waSyncAction.MuteAction{Muted: &on}
	if on {
		action.MuteEndTimestamp = proto.Int64(-1)
		if !until.IsZero() {
			action.MuteEndTimestamp = proto.Int64(until.UnixMilli())
		}
	}
	return p.Set("regular_high", index, 2, &waSyncAction.SyncActionValue{MuteAction: action})
}

// Pin puts a chat on top of the list, or back.
func (p *Person) Pin(chat string, on bool) error {
	index, err := p.chatIndex("pin_v1", chat)
	if err != nil {
		return err
	}
	return p.Set("regular_low", index, 5, &waSyncAction.SyncActionValue{PinAction: &waSyncAction.PinAction{Pinned: &on}})
}

// Archive puts a chat away, or back.
func (p *Person) Archive(chat string, on bool) error {
	index, err := p.chatIndex("archive", chat)
	if err != nil {
		return err
	}
	return p.Set("regular_low", index, 3, &waSyncAction.SyncActionValue{ArchiveChatAction: &waSyncAction.ArchiveChatAction{Archived: &on,
		MessageRange: &waSyncAction.SyncActionMessageRange{LastMessageTimestamp: proto.Int64(p.n.now().Unix())}}})
}

// MarkUnread marks a chat as unread, or as read.
func (p *Person) MarkUnread(chat string, on bool) error {
	index, err := p.chatIndex("markChatAsRead", chat)
	if err != nil {
		return err
	}
	return p.Set("regular_low", index, 3, &waSyncAction.SyncActionValue{MarkChatAsReadAction: &waSyncAction.MarkChatAsReadAction{Read: proto.Bool(!on),
		MessageRange: &waSyncAction.SyncActionMessageRange{LastMessageTimestamp: proto.Int64(p.n.now().Unix())}}})
}

// DeleteChat removes a chat from the person's own devices.
func (p *Person) DeleteChat(chat string) error {
	index, err := p.chatIndex("deleteChat", chat)
	if err != nil {
		return err
	}
	return p.Set("regular_high", append(index, "1"), 6, &waSyncAction.SyncActionValue{DeleteChatAction: &waSyncAction.DeleteChatAction{
		MessageRange: &waSyncAction.SyncActionMessageRange{LastMessageTimestamp: proto.Int64(p.n.now().Unix())}}})
}

// DeleteForMe deletes one message from the person's own devices; mine says whose it is, in a direct chat.
func (p *Person) DeleteForMe(chat, messageID string, mine bool) error {
	index, err := p.chatIndex("deleteMessageForMe", chat)
	if err != nil {
		return err
	}
	from := map[bool]string{true: "1", false: "0"}[mine]
	return p.Set("regular_high", append(index, messageID, from, "0"), 3, &waSyncAction.SyncActionValue{
		DeleteMessageForMeAction: &waSyncAction.DeleteMessageForMeAction{DeleteMedia: proto.Bool(true), MessageTimestamp: proto.Int64(p.n.now().Unix())}})
}

// SetContact puts somebody into the person's address book under a name, or takes them out with an empty one.
func (p *Person) SetContact(who, name string) error {
	jid, err := p.chatOf(who)
	if err != nil {
		return err
	}
	p.n.mu.Lock()
	u := p.n.userAt(jid)
	p.n.mu.Unlock()
	var value *waSyncAction.SyncActionValue
	if name != "" {
		value = &waSyncAction.SyncActionValue{ContactAction: &waSyncAction.ContactAction{FullName: &name, FirstName: &name,
			LidJID: proto.String(u.lid.String()), PnJID: proto.String(u.pn.String()), SaveOnPrimaryAddressbook: proto.Bool(true)}}
	}
	return p.Set("critical_unblock_low", []string{"contact", u.pn.String()}, 2, value)
}

// State is what is set in one of the account's collections, by index as the network spells it.
func (p *Person) State(collection string) (map[string]*waSyncAction.SyncActionValue, error) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	c := p.user.state.collections[collection]
	if c == nil {
		return nil, fmt.Errorf("collection %q: %w", collection, errNoRecord)
	}
	records, err := c.Records(p.user.state.key)
	if err != nil {
		return nil, err
	}
	values := map[string]*waSyncAction.SyncActionValue{}
	for _, r := range records {
		index, err := appstate.IndexText(r.Index)
		if err != nil {
			return nil, err
		}
		values[index] = r.Value
	}
	return values, nil
}

// WaitState waits until something is set in a collection as fits says; the value is nil if it is not set at all.
func (p *Person) WaitState(ctx context.Context, collection string, index []string, fits func(*waSyncAction.SyncActionValue) bool) error {
	text, err := appstate.IndexText(index)
	if err != nil {
		return err
	}
	err = p.wait(ctx, func() bool {
		values, err := p.State(collection)
		return err == nil && fits(values[text])
	})
	if err != nil {
		return fmt.Errorf("%s of %s did not become what was expected: %w", text, p.Name(), err)
	}
	return nil
}

// firstState sets what every account has, in each collection: what the person is called, the language, the
// person's own card, and what phones set by themselves.
func (p *Person) firstState() error {
	p.n.mu.Lock()
	set := p.user.state.collections["critical_block"].Version > 0
	p.n.mu.Unlock()
	if set {
		return nil
	}
	for _, each := range []struct {
		collection string
		index      []string
		version    int32
		value      *waSyncAction.SyncActionValue
	}{
		{"critical_block", []string{"setting_pushName"}, 1, &waSyncAction.SyncActionValue{
			PushNameSetting: &waSyncAction.PushNameSetting{Name: proto.String(p.user.name)}}},
		{"critical_block", []string{"setting_locale"}, 3, &waSyncAction.SyncActionValue{
			LocaleSetting: &waSyncAction.LocaleSetting{Locale: proto.String("en_GB")}}},
		{"critical_unblock_low", []string{"contact", p.user.pn.String()}, 2, &waSyncAction.SyncActionValue{
			ContactAction: &waSyncAction.ContactAction{FullName: proto.String(p.user.name), LidJID: proto.String(p.user.lid.String())}}},
		{"regular_low", []string{"setting_unarchiveChats"}, 4, &waSyncAction.SyncActionValue{
			UnarchiveChatsSetting: &waSyncAction.UnarchiveChatsSetting{UnarchiveChats: proto.Bool(false)}}},
		{"regular_high", []string{"favorites"}, 1, &waSyncAction.SyncActionValue{FavoritesAction: &waSyncAction.FavoritesAction{}}},
		{"regular", []string{"primary_feature"}, 7, &waSyncAction.SyncActionValue{PrimaryFeature: &waSyncAction.PrimaryFeature{}}},
	} {
		if err := p.Set(each.collection, each.index, each.version, each.value); err != nil {
			return err
		}
	}
	return nil
}

// shareKeys gives the account's keys to a device. p.mu is held.
func (p *Person) shareKeys(number uint16, wanted ...[]byte) error {
	p.n.mu.Lock()
	_, err := p.stateKey()
	keys := p.user.state.keys
	state := p.user.state
	indexes := []uint32{0}
	for _, d := range p.user.linked() {
		indexes = append(indexes, d.companion.keyIndex)
	}
	p.n.mu.Unlock()
	if err != nil {
		return err
	}
	share := &waE2E.AppStateSyncKeyShare{}
	put := func(id []byte, k *appstate.Key) {
		entry := &waE2E.AppStateSyncKey{KeyID: &waE2E.AppStateSyncKeyId{KeyID: id}}
		if k != nil {
			entry.KeyData = &waE2E.AppStateSyncKeyData{KeyData: k.Data, Timestamp: proto.Int64(p.n.now().UnixMilli()),
				Fingerprint: &waE2E.AppStateSyncKeyFingerprint{RawID: proto.Uint32(advRawID), CurrentIndex: proto.Uint32(indexes[len(indexes)-1]),
					DeviceIndexes: indexes}}
		}
		share.Keys = append(share.Keys, entry)
	}
	for _, id := range wanted {
		put(id, state.key(id))
	}
	if len(wanted) == 0 {
		for _, k := range keys {
			put(k.ID, k)
		}
	}
	return p.sendPeer(number, &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum(), AppStateSyncKeyShare: share})
}

// recovery is a collection in the clear, for a device whose copy does not fit its hash any more. p.mu is held.
func (p *Person) recovery(name string) (*waE2E.PeerDataOperationRequestResponseMessage_PeerDataOperationResult, error) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	c := p.user.state.collections[name]
	if c == nil {
		return nil, fmt.Errorf("collection %q: %w", name, errNoRecord)
	}
	records, err := c.Records(p.user.state.key)
	if err != nil {
		return nil, err
	}
	copied := &waSyncdSnapshotRecovery.SyncdSnapshotRecovery{Version: &waSyncdSnapshotRecovery.SyncdVersion{Version: &c.Version},
		CollectionName: &c.Name, CollectionLthash: c.Hash[:]}
	for _, r := range records {
		index, err := appstate.IndexText(r.Index)
		if err != nil {
			return nil, err
		}
		copied.MutationRecords = append(copied.MutationRecords, &waSyncdSnapshotRecovery.SyncdPlainTextRecord{KeyID: r.KeyID, Mac: r.MAC,
			Value: &waSyncAction.SyncActionData{Index: []byte(index), Value: r.Value, Version: &r.Version}})
	}
	data, err := proto.Marshal(copied)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err = w.Write(data); err == nil {
		err = w.Close()
	}
	return &waE2E.PeerDataOperationRequestResponseMessage_PeerDataOperationResult{
		SyncdSnapshotFatalRecoveryResponse: &waE2E.PeerDataOperationRequestResponseMessage_PeerDataOperationResult_SyncDSnapshotFatalRecoveryResponse{
			CollectionSnapshot: packed.Bytes(), IsCompressed: proto.Bool(true)}}, err
}
