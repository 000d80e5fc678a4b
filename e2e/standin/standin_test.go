package standin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/homeserver"
	"causeway/e2e/standin"
)

const bridgeToken = "hs-token"

// pushed is what a bridge was pushed, and refuses the first push to see it repeated.
type pushed struct {
	mu      sync.Mutex
	refused string
	types   map[string]int
	changed chan struct{}
}

func (p *pushed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+bridgeToken {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if p.refused == "" {
		p.refused = r.URL.Path
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var body struct{ Events, Ephemeral []event.Event }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, evt := range append(body.Events, body.Ephemeral...) {
		if evt.RoomID != "" {
			p.types[evt.Type.Type]++
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pushed) count(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.types[kind]
}

func (p *pushed) wait(ctx context.Context, t *testing.T, kind string) {
	t.Helper()
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if p.count(kind) > 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no %s was pushed", kind)
		}
	}
}

func TestPushesWhatTheHomeserverDoesNot(t *testing.T) {
	homeserver.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	puppets := appservice.CreateRegistration()
	puppets.ID, puppets.SenderLocalpart = "puppets", "puppets"
	puppets.Namespaces.UserIDs.Register(regexp.MustCompile("@.*:localhost"), false)
	path := filepath.Join(t.TempDir(), "puppets.yaml")
	require.NoError(t, puppets.Save(path))
	server, err := homeserver.Start(ctx, homeserver.Options{Registrations: []string{path}})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	alice, err := server.Register(ctx, "alice", "a password")
	require.NoError(t, err)

	bridge := &pushed{types: map[string]int{}, changed: make(chan struct{})}
	front := httptest.NewServer(bridge)
	defer front.Close()
	var lines []string
	standIn := standin.Start(standin.Options{
		Homeserver: server.URL, PuppetToken: puppets.AppToken, Bridge: front.URL, BridgeToken: bridgeToken,
		Log: func(line string) { lines = append(lines, line) },
	})
	defer standIn.Stop()
	require.Equal(t, []string{standin.Line}, lines)
	require.NoError(t, standIn.Watch(ctx, alice.UserID.String()))

	room, message := sayAndRead(ctx, t, alice)
	bridge.wait(ctx, t, "m.receipt")
	_, err = alice.UserTyping(ctx, room, true, time.Minute)
	require.NoError(t, err)
	bridge.wait(ctx, t, "m.typing")
	_, err = alice.RedactEvent(ctx, room, message)
	require.NoError(t, err)
	bridge.wait(ctx, t, "m.room.redaction")
	require.Zero(t, bridge.count("m.room.message"), "messages are the homeserver's own business")
}

func sayAndRead(ctx context.Context, t *testing.T, alice *mautrix.Client) (id.RoomID, id.EventID) {
	t.Helper()
	room, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	message, err := alice.SendText(ctx, room.RoomID, "hello")
	require.NoError(t, err)
	require.NoError(t, alice.SendReceipt(ctx, room.RoomID, message.EventID, event.ReceiptTypeRead, struct{}{}))
	return room.RoomID, message.EventID
}
