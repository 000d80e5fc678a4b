package homeserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"

	"causeway/simulator/homeserver"
)

// receiver is the smallest application service: it writes down what it is sent.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	inFlight int
	atOnce   int // most transactions in flight at a time
	refuse   int // how many transactions to refuse first
	pings    int
	txns     []received
	wake     chan struct{}
}

type received struct {
	id     string
	events []homeserverEvent
	edus   []homeserverEvent
}

type homeserverEvent struct {
	ID      string          `json:"event_id"`
	Type    string          `json:"type"`
	Content json.RawMessage `json:"content"`
	Redacts string          `json:"redacts"`
}

func startReceiver(t *testing.T) *receiver {
	rec := &receiver{wake: make(chan struct{}, 1)}
	rec.Server = httptest.NewServer(rec)
	t.Cleanup(rec.Close)
	return rec
}

func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rec.mu.Lock()
	rec.inFlight++
	rec.atOnce = max(rec.atOnce, rec.inFlight)
	accepted := rec.take(r, body)
	rec.mu.Unlock()
	if rec.slow() {
		<-time.After(5 * time.Millisecond) // so that copies sent at once meet
	}
	rec.mu.Lock()
	rec.inFlight--
	rec.mu.Unlock()
	if !accepted {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write([]byte("{}"))
	select {
	case rec.wake <- struct{}{}:
	default:
	}
}

func (rec *receiver) slow() bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return len(rec.txns) < 5
}

func (rec *receiver) take(r *http.Request, body []byte) bool {
	if r.Header.Get("Authorization") != "Bearer hs" {
		return false
	}
	if strings.HasSuffix(r.URL.Path, "/ping") {
		rec.pings++
		return true
	}
	if rec.refuse > 0 {
		rec.refuse--
		return false
	}
	var txn struct {
		Events    []homeserverEvent `json:"events"`
		Ephemeral []homeserverEvent `json:"ephemeral"`
		Older     []homeserverEvent `json:"de.sorunome.msc2409.ephemeral"`
	}
	if json.Unmarshal(body, &txn) != nil || len(txn.Older) != len(txn.Ephemeral) {
		return false
	}
	number := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	rec.txns = append(rec.txns, received{number, txn.Events, txn.Ephemeral})
	return true
}

// until waits for a condition on what was received.
func (rec *receiver) until(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		rec.mu.Lock()
		ok := done()
		rec.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-rec.wake:
		case <-time.After(5 * time.Millisecond): // the server counts an acceptance a moment after it was given
		case <-deadline:
			t.Fatal("the application service was not sent what it waits for")
		}
	}
}

// texts are the messages received so far, in order.
func (rec *receiver) texts() []string {
	all := []string{}
	for _, txn := range rec.txns {
		for _, ev := range txn.events {
			if ev.Type == "m.room.message" {
				all = append(all, bodyOf(ev.Content))
			}
		}
	}
	return all
}

// pushed is a server with a bridge's room: alice and a ghost.
func pushed(t *testing.T) (context.Context, *homeserver.Server, *receiver, *mautrix.Client, *mautrix.RespCreateRoom) {
	ctx, rec := timeLimit(t), startReceiver(t)
	hs := homeserver.Start(t, homeserver.Appservice(registration(rec.URL)), homeserver.PushBackoff(time.Millisecond, 10*time.Millisecond))
	bot, alice := ghost(t, hs, "bridgebot"), user(t, hs, "alice")
	room, err := bot.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	require.NoError(t, hs.Join(room.RoomID.String(), alice.UserID.String()))
	rec.until(t, func() bool { return hs.Pushes("bridge").Waiting == 0 && len(rec.txns) > 0 })
	return ctx, hs, rec, alice, room
}

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	return all
}

func TestPushKeepsOrderThroughRefusals(t *testing.T) {
	_, hs, rec, alice, room := pushed(t)
	rec.mu.Lock()
	rec.refuse = 5
	rec.mu.Unlock()
	for _, body := range numbers(450) {
		_, err := hs.Send(room.RoomID.String(), alice.UserID.String(), "m.room.message", map[string]string{"body": body})
		require.NoError(t, err)
	}
	rec.until(t, func() bool { return slices.Contains(rec.texts(), "449") && hs.Pushes("bridge").Waiting == 0 })
	require.Equal(t, numbers(450), rec.texts())
	require.Equal(t, 1, rec.atOnce)
	for _, txn := range rec.txns {
		require.LessOrEqual(t, len(txn.events), 100)
	}
	stats := hs.Pushes("bridge")
	require.Equal(t, stats.Transactions+5, stats.Attempts)
}

func TestPushGoesOnAfterRestarts(t *testing.T) {
	_, hs, rec, alice, room := pushed(t)
	for i, body := range numbers(450) {
		_, err := hs.Send(room.RoomID.String(), alice.UserID.String(), "m.room.message", map[string]string{"body": body})
		require.NoError(t, err)
		if i%100 == 99 {
			require.NoError(t, hs.Restart(false))
		}
	}
	rec.until(t, func() bool { return slices.Contains(rec.texts(), "449") })
	seen := map[string]bool{}
	once := slices.DeleteFunc(rec.texts(), func(body string) bool { // a restart may repeat the transaction in flight
		was := seen[body]
		seen[body] = true
		return was
	})
	require.Equal(t, numbers(450), once)
}

func TestPushTellsOfTypingReceiptsAndRedactions(t *testing.T) {
	ctx, _, rec, alice, room := pushed(t)
	said := text(t, ctx, alice, room.RoomID, "hello")
	_, err := alice.UserTyping(ctx, room.RoomID, true, 50*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, alice.MarkRead(ctx, room.RoomID, said))
	_, err = alice.RedactEvent(ctx, room.RoomID, said)
	require.NoError(t, err)

	has := func(kind, part string) func() bool {
		return func() bool {
			for _, txn := range rec.txns {
				for _, ev := range slices.Concat(txn.events, txn.edus) {
					if ev.Type == kind && strings.Contains(string(ev.Content)+ev.Redacts, part) {
						return true
					}
				}
			}
			return false
		}
	}
	rec.until(t, has("m.typing", `["@alice:localhost"]`))
	rec.until(t, has("m.typing", `[]`)) // by itself, when the time is over
	rec.until(t, has("m.receipt", `"`+said.String()+`":{"m.read":{"@alice:localhost"`))
	rec.until(t, has("m.room.redaction", said.String()))
}

func TestNothingIsPushedOfStrangersRooms(t *testing.T) {
	ctx, hs, rec, alice, room := pushed(t)
	private, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	text(t, ctx, alice, private.RoomID, "private")
	text(t, ctx, alice, room.RoomID, "shared")
	rec.until(t, func() bool { return slices.Contains(rec.texts(), "shared") && hs.Pushes("bridge").Waiting == 0 })
	require.Equal(t, []string{"shared"}, rec.texts())
}

func TestPing(t *testing.T) {
	ctx, hs, rec, _, _ := pushed(t)
	bot := ghost(t, hs, "bridgebot")
	pong, err := bot.AppservicePing(ctx, "bridge", "txn")
	require.NoError(t, err)
	require.GreaterOrEqual(t, pong.DurationMS, int64(0))
	require.Equal(t, 1, rec.pings)
	rec.Close()
	_, err = bot.AppservicePing(ctx, "bridge", "txn")
	require.ErrorContains(t, err, "M_CONNECTION_FAILED")
}

func TestPushFaults(t *testing.T) {
	for name, want := range map[string]struct {
		kind   homeserver.PushKind
		texts  []string
		atOnce int
		check  func(t *testing.T, txns []received)
	}{
		"twice": {kind: homeserver.PushTwice, texts: []string{"a", "b", "a", "b"}, atOnce: 1, check: func(t *testing.T, txns []received) {
			require.Equal(t, txns[0].id, txns[1].id)
		}},
		"twice at once": {kind: homeserver.PushTwiceAtOnce, texts: []string{"a", "b", "a", "b"}, atOnce: 2, check: func(t *testing.T, txns []received) {
			require.Equal(t, txns[0].id, txns[1].id)
		}},
		"repeated": {kind: homeserver.PushRepeated, texts: []string{"a", "b", "a", "b"}, atOnce: 1, check: func(t *testing.T, txns []received) {
			require.NotEqual(t, txns[0].id, txns[1].id)
		}},
		"swapped": {kind: homeserver.PushSwapped, texts: []string{"b", "a"}, atOnce: 1, check: func(t *testing.T, txns []received) {
			require.Greater(t, txns[0].id, txns[1].id)
		}},
		"renumbered": {kind: homeserver.PushRenumbered, texts: []string{"a", "b"}, atOnce: 1, check: func(t *testing.T, txns []received) {
			require.Equal(t, "1", txns[0].id)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, hs, rec, alice, room := pushed(t)
			hs.Down() // so that both messages come in one transaction
			for _, body := range []string{"a", "b"} {
				_, err := hs.Send(room.RoomID.String(), alice.UserID.String(), "m.room.message", map[string]string{"body": body})
				require.NoError(t, err)
			}
			rec.mu.Lock()
			rec.txns, rec.atOnce = nil, 0
			rec.mu.Unlock()
			hs.FaultPush(homeserver.PushFault{Appservice: "bridge", Kind: want.kind, Count: 1})
			require.NoError(t, hs.Up())
			rec.until(t, func() bool { return len(rec.texts()) == len(want.texts) })
			require.Equal(t, want.texts, rec.texts())
			require.Equal(t, want.atOnce, rec.atOnce)
			want.check(t, rec.txns)
			_, err := hs.Send(room.RoomID.String(), alice.UserID.String(), string(event.EventMessage.Type), map[string]string{"body": "after"})
			require.NoError(t, err)
			rec.until(t, func() bool { return slices.Contains(rec.texts(), "after") })
			require.Len(t, rec.texts(), len(want.texts)+1, "the fault is over")
		})
	}
}
