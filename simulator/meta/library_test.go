package meta

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	xml "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// libraryStore is the store of the library's client: a signal store with a lock and the prekey calls.
type libraryStore struct {
	*signalStore
	mu       sync.Mutex
	uploaded uint32
}

func (s *libraryStore) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalStore.PutIdentity(ctx, address, key)
}

func (s *libraryStore) GetSession(ctx context.Context, address string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalStore.GetSession(ctx, address)
}

func (s *libraryStore) HasSession(ctx context.Context, address string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalStore.HasSession(ctx, address)
}

func (s *libraryStore) PutSession(ctx context.Context, address string, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalStore.PutSession(ctx, address, record)
}

func (s *libraryStore) GetPreKey(ctx context.Context, id uint32) (*keys.PreKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalStore.GetPreKey(ctx, id)
}

func (s *libraryStore) RemovePreKey(ctx context.Context, id uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalStore.RemovePreKey(ctx, id)
}

func (s *libraryStore) GetOrGenPreKeys(_ context.Context, count uint32) ([]*keys.PreKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*keys.PreKey
	for _, key := range s.generate(int(count)) {
		list = append(list, s.preKeys[key.id])
	}
	return list, nil
}

func (s *libraryStore) GenOnePreKey(context.Context) (*keys.PreKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.preKeys[s.generate(1)[0].id], nil
}

func (s *libraryStore) MarkPreKeysAsUploaded(_ context.Context, upTo uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploaded = upTo
	return nil
}

func (s *libraryStore) UploadedPreKeyCount(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.uploaded), nil
}

// TestUnmodifiedLibrary proves that the library which the bridge builds on is served: login, keys,
// messages both ways, receipts, and the retry of a message that was spoilt on the way.
func TestUnmodifiedLibrary(t *testing.T) {
	w := newWorld(t, Profile(Timing))
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna")
	client, got := anna.library(t)
	require.NoError(t, client.Connect())
	defer client.Disconnect()
	await := func(fits func(any) bool) {
		t.Helper()
		ctx := within(t)
		for {
			select {
			case event := <-got:
				if fits(event) {
					return
				}
			case <-ctx.Done():
				require.FailNow(t, "the event did not come")
			}
		}
	}
	await(func(e any) bool { _, ok := e.(*events.Connected); return ok })
	client.SetForceActiveDeliveryReceipts(true)

	w.Fault(Fault{Kind: FaultMangle})
	id, err := bob.Say(anna.text(), "hello library")
	require.NoError(t, err)
	await(func(e any) bool {
		m, ok := e.(*events.Message)
		return ok && m.Info.ID == id && m.Message.GetConversation() == "hello library" &&
			m.Info.Sender == bob.user.lid && m.Info.SenderAlt == bob.user.pn
	})
	require.NoError(t, bob.WaitReceipt(within(t), id, "delivery"))

	plaintext, err := proto.Marshal(&waE2E.Message{Conversation: proto.String("hello phone")})
	require.NoError(t, err)
	//lint:ignore SA1019 the library has no other way to send a stanza of one's own
	internals := client.DangerousInternals()
	enc, _, err := internals.EncryptMessageForDevice(within(t), plaintext, bob.user.lid, nil, nil, nil)
	require.NoError(t, err)
	wait := internals.WaitResponse("3EB0F00D")
	require.NoError(t, internals.SendNode(within(t), xml.Node{Tag: "message", Attrs: xml.Attrs{
		"id": "3EB0F00D", "to": bob.user.lid, "type": "text"}, Content: []xml.Node{*enc}}))
	require.Nil(t, (<-wait).Attrs["error"])
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "hello phone", h.Text)
	await(func(e any) bool {
		r, ok := e.(*events.Receipt)
		return ok && r.Type == types.ReceiptTypeDelivered && r.MessageIDs[0] == "3EB0F00D"
	})

	w.DropConnections(anna.account, "503")
	await(func(e any) bool { _, ok := e.(*events.Connected); return ok })
	bob.NewIdentity()
	await(func(e any) bool { c, ok := e.(*events.IdentityChange); return ok && c.JID == bob.user.lid })
}

// library makes an unmodified library client for an enlisted account.
func (c *bareClient) library(t *testing.T) (*whatsmeow.Client, chan any) {
	whatsmeow.WACertPubKey = c.root
	s := &libraryStore{signalStore: c.signal}
	device := &store.Device{NoiseKey: c.noise, IdentityKey: c.signal.device.IdentityKey, SignedPreKey: c.signal.device.SignedPreKey,
		RegistrationID: c.signal.device.RegistrationID, LIDs: s.NoopStore, Container: s.NoopStore, Account: &waAdv.ADVSignedDeviceIdentity{}}
	id := c.jid()
	device.ID, device.LID = &id, id
	device.SetAllStores(s)
	client := whatsmeow.NewClient(device, nil)
	address := c.w.ChatAddr()
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client.SetWebsocketHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}})
	client.WebSocketHeaders = c.header
	client.RefreshCAT = func(context.Context) error { return nil }
	client.GetClientPayload = func() *waWa6.ClientPayload {
		account := uint64(atoi(c.account, 0))
		return &waWa6.ClientPayload{Passive: proto.Bool(false), Pull: proto.Bool(true), Product: waWa6.ClientPayload_INTEROP.Enum(),
			UserAgent:   &waWa6.ClientPayload_UserAgent{},
			InteropData: &waWa6.ClientPayload_InteropData{AccountID: &account, Token: []byte(c.token()), EnableReadReceipts: proto.Bool(true)}}
	}
	got := make(chan any, 256)
	client.AddEventHandler(func(event any) { got <- event })
	return client, got
}
