package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

const hsToken = "the homeserver's token of at least 32 characters"

func openFront(p *process) *front {
	router := http.NewServeMux()
	router.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.WriteString(w, "router")
	})
	f := newFront(p.Delivery, hsToken, router, func(user id.UserID) bool { return user == "@bot:hs" })
	f.ready.Store(true)
	return f
}

func put(f *front, transaction, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPut, transactionPath+transaction, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func pushed(ids ...string) string {
	events := make([]string, len(ids))
	for i, id := range ids {
		events[i] = fmt.Sprintf(`{"type":"m.room.message","room_id":"!r:hs","event_id":%q,"sender":"@alice:hs","content":{"msgtype":"m.text","body":%q}}`, id, id)
	}
	return `{"events":[` + strings.Join(events, ",") + `]}`
}

func (b *playedBridge) handles(t *testing.T, ids ...string) {
	t.Helper()
	until(t, func() bool { return slices.Equal(ids, b.handledIDs()) }, func() any { return b.handledIDs() })
}

// Where the homeserver pushes the rooms of all its users, those that are none of the bridge's business leave nothing behind.
func TestRoomsOfOthersLeaveNothing(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		f := openFront(p)
		looked := 0
		f.concern = &concern{look: func(_ context.Context, room id.RoomID) (bool, error) {
			looked++
			if room == "!unknown:hs" {
				return false, errors.New("the database is busy")
			}
			return room == "!r:hs", nil
		}}
		said := func(room, id string) string { return strings.ReplaceAll(pushed(id), "!r:hs", room) }
		about := func(room, id, sender, key string) string {
			return fmt.Sprintf(`{"events":[{"type":"m.room.member","state_key":%q,"room_id":%q,"event_id":%q,"sender":%q,"content":{}}]}`, key, room, id, sender)
		}
		for i, body := range []string{
			said("!private:hs", "$secret"), said("!private:hs", "$more"), about("!private:hs", "$join", "@carol:hs", "@carol:hs"),
			said("!r:hs", "$first"), said("!unknown:hs", "$kept"),
			about("!private:hs", "$invite", "@alice:hs", "@bot:hs"), said("!private:hs", "$now"),
			about("!new:hs", "$made", "@bot:hs", "@bot:hs"), said("!new:hs", "$there"),
		} {
			require.Equal(t, http.StatusOK, put(f, fmt.Sprint(i), hsToken, body).Code)
		}
		until(t, func() bool { return len(bridge.handledIDs()) == 6 }, func() any { return bridge.handledIDs() })
		require.ElementsMatch(t, []string{"$first", "$kept", "$invite", "$now", "$made", "$there"}, bridge.handledIDs())
		require.Equal(t, 3, looked, "what is known of a room is remembered")
		rows := 0
		require.NoError(t, p.options.DB.QueryRow(t.Context(), "SELECT COUNT(*) FROM cw_mx_inbox WHERE event_id IN ('$secret', '$more', '$join')").Scan(&rows))
		require.Zero(t, rows)
	})
}

func TestOwnMessagesAreNotStoredAndOwnStateIs(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		f := openFront(launch(t, on, bridge))
		mine := strings.ReplaceAll(pushed("$said"), "@alice:hs", "@bot:hs")
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, mine).Code)
		state := `{"events":[{"type":"m.room.member","state_key":"@alice:hs","room_id":"!r:hs","event_id":"$invited","sender":"@bot:hs","content":{}}]}`
		require.Equal(t, http.StatusOK, put(f, "2", hsToken, state).Code)
		require.Equal(t, http.StatusOK, put(f, "3", hsToken, pushed("$answered")).Code)
		bridge.handles(t, "$invited", "$answered")
	})
}

func TestEachMatrixEventIsHandledOnceWhateverTheTransaction(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		f := openFront(p)
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, pushed("$a", "$b")).Code)
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, pushed("$a", "$b")).Code, "the same again")
		require.Equal(t, http.StatusOK, put(f, "2", hsToken, pushed("$b", "$c")).Code, "an event of another transaction")
		w := put(f, "1", hsToken, pushed("$d"))
		require.Equal(t, http.StatusOK, w.Code, "a homeserver that counts anew")
		require.JSONEq(t, "{}", w.Body.String())
		bridge.handles(t, "$a", "$b", "$c", "$d")
		content := bridge.handled[0].Content.AsMessage()
		require.Equal(t, "$a", content.Body)
		require.EqualValues(t, 3, p.Figures().Repeats)
	})
}

// An event that bridgev2 could not handle since the database did not answer is handled again, before those behind it. What
// else has failed has failed, and so has what goes on failing.
func TestAnEventIsHandledAgainWhenTheDatabaseFailsBridgev2(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		tries, told := map[id.EventID]int{}, make(chan id.EventID, 1)
		bridge.handling = func(evt *event.Event) {
			tries[evt.ID]++
			reason := fmt.Errorf("%w: no answer", bridgev2.ErrDatabaseError)
			switch {
			case evt.ID == "$a" && tries[evt.ID] < 3:
				assert.True(t, p.HandleAgain(evt.ID, reason))
			case evt.ID == "$b":
				assert.False(t, p.HandleAgain(evt.ID, bridgev2.ErrNoPortal))
				assert.False(t, p.HandleAgain("$other", reason), "nobody handles that")
			case evt.ID == "$c" && !p.HandleAgain(evt.ID, reason):
				told <- evt.ID
			}
		}
		f := openFront(p)
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, pushed("$a", "$b")).Code)
		bridge.handles(t, "$a", "$a", "$a", "$b")
		require.False(t, p.HandleAgain("$a", bridgev2.ErrDatabaseError), "it is done")
		require.Equal(t, http.StatusOK, put(f, "2", hsToken, pushed("$c", "$d")).Code)
		require.EqualValues(t, "$c", <-told)
		until(t, func() bool { ids := bridge.handledIDs(); return ids[len(ids)-1] == "$d" })
	})
}

func TestTheSameTransactionTwiceAtOnce(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		f := openFront(p)
		var both sync.WaitGroup
		for range 4 {
			both.Go(func() {
				if code := put(f, "1", hsToken, pushed("$a", "$b", "$c")).Code; code != http.StatusOK {
					t.Error(code)
				}
			})
		}
		both.Wait()
		put(f, "2", hsToken, pushed("$d"))
		bridge.handles(t, "$a", "$b", "$c", "$d")
	})
}

func TestWhatWas200OutlivesTheProcess(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := boot(t, on, bridge)
		require.Equal(t, http.StatusOK, put(openFront(first), "1", hsToken, pushed("$a", "$b")).Code)
		first.die()
		second := boot(t, on, bridge)
		require.Equal(t, http.StatusOK, put(openFront(second), "2", hsToken, pushed("$c")).Code)
		require.NoError(t, second.Run(t.Context()))
		t.Cleanup(second.die)
		bridge.handles(t, "$a", "$b", "$c")
	})
}

// An event that ends the process each time it is handled must not do so for ever.
func TestAnEventThatKillsIsSetAside(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		threeDeaths := func(o *Options) { o.Timing.DeadlyTries = 3 }
		first := boot(t, on, bridge)
		require.Equal(t, http.StatusOK, put(openFront(first), "1", hsToken, pushed("$deadly", "$b")).Code)
		first.die()
		for range 3 {
			reached := make(chan struct{})
			hang := make(chan struct{})
			bridge.change(func() {
				bridge.handling = func(evt *event.Event) {
					if evt.ID == "$deadly" {
						close(reached)
						<-hang
					}
				}
			})
			p := boot(t, on, bridge, threeDeaths)
			require.NoError(t, p.Run(t.Context()))
			<-reached
			_ = p.db.Close()
			p.matrix.lanes.cancel()
			close(hang)
			p.die()
		}
		bridge.change(func() { bridge.handling, bridge.handled = nil, nil })
		p := launch(t, on, bridge, threeDeaths)
		bridge.handles(t, "$b")
		require.EqualValues(t, 1, p.Figures().Quarantined)
		bridge.reported(t, "$deadly", Failed)
	})
}

func TestAPanicOfAHandlerEndsOneEvent(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.handling = func(evt *event.Event) {
			if evt.ID == "$a" {
				panic("boom")
			}
		}
		p := launch(t, on, bridge)
		put(openFront(p), "1", hsToken, pushed("$a", "$b"))
		bridge.handles(t, "$b")
	})
}

func TestTheFrontRefuses(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge, func(o *Options) { o.Timing.MatrixLimit = 3 })
		f := openFront(p)
		require.Equal(t, http.StatusUnauthorized, put(f, "1", "", pushed("$a")).Code)
		require.Equal(t, http.StatusForbidden, put(f, "1", "wrong", pushed("$a")).Code)
		require.Equal(t, http.StatusBadRequest, put(f, "1", hsToken, "no json").Code)
		require.Equal(t, http.StatusRequestEntityTooLarge, put(f, "1", hsToken, strings.Repeat(" ", maxTransaction+1)).Code)
		f.ready.Store(false)
		require.Equal(t, http.StatusServiceUnavailable, put(f, "1", hsToken, pushed("$a")).Code)
		f.ready.Store(true)
		hold := make(chan struct{})
		bridge.change(func() { bridge.handling = func(*event.Event) { <-hold } })
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, pushed("$1", "$2", "$3")).Code)
		require.Equal(t, http.StatusServiceUnavailable, put(f, "2", hsToken, pushed("$4")).Code, "too many wait")
		close(hold)
		bridge.handles(t, "$1", "$2", "$3")
		until(t, func() bool { return put(f, "2", hsToken, pushed("$4")).Code == http.StatusOK })
	})
}

func TestWithoutADatabaseTheHomeserverKeepsTheTransaction(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		p := launch(t, on, newBridge())
		f := openFront(p)
		require.NoError(t, p.db.Close())
		require.Equal(t, http.StatusInternalServerError, put(f, "1", hsToken, pushed("$a")).Code)
	})
}

func TestWhatIsNoEventStopsNothing(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		good := pushed("$a")
		long := fmt.Sprintf(`{"event_id":"$long","x":"%s"}`, strings.Repeat("x", maxElement))
		body := strings.Replace(good, `{"events":[`, `{"events":[17,null,{},{"event_id":5},`+long+`,`, 1)
		require.Equal(t, http.StatusOK, put(openFront(p), "1", hsToken, body).Code)
		bridge.handles(t, "$a")
		until(t, func() bool { return p.Figures().Quarantined == 5 })
	})
}

func TestOtherRequestsGoToTheConnectorWithALimit(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		f := openFront(launch(t, on, newBridge()))
		for path, limit := range map[string]int{"/_matrix/app/v1/ping": maxPing, "/_matrix/app/v1/users/@a:hs": maxAppserviceOther} {
			for size, want := range map[int]int{limit: http.StatusOK, limit + 1: http.StatusRequestEntityTooLarge} {
				w := httptest.NewRecorder()
				f.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(strings.Repeat("x", size))))
				require.Equal(t, want, w.Code, "%s %d", path, size)
			}
		}
	})
}

func TestSecretsComeBeforeEventsAndOnce(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := boot(t, on, bridge)
		f := openFront(first)
		body := `{"events":[],"to_device":[{"type":"m.room_key","sender":"@alice:hs","content":{"n":1}}],
			"device_one_time_keys_count":{"@bot:hs":{"DEV":{"signed_curve25519":7}}},"device_lists":{"changed":["@alice:hs"]},
			"ephemeral":[{"type":"m.typing","room_id":"!r:hs","content":{"user_ids":["@alice:hs"]}}]}`
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, body).Code)
		require.Equal(t, http.StatusOK, put(f, "2", hsToken, body).Code)
		first.die()
		p := launch(t, on, bridge)
		types := func() (all []string) {
			bridge.matrixSide.lock.Lock()
			defer bridge.matrixSide.lock.Unlock()
			for _, evt := range bridge.handled {
				all = append(all, evt.Type.Type)
			}
			return all
		}
		require.Equal(t, []string{"m.room_key"}, types(), "typing of an earlier process is forgotten")
		require.Len(t, bridge.counts, 1)
		require.Equal(t, 7, bridge.counts[0].SignedCurve25519)
		require.EqualValues(t, "@bot:hs", bridge.counts[0].UserID)
		require.Equal(t, http.StatusOK, put(openFront(p), "3", hsToken, strings.Replace(body, `"n":1`, `"n":2`, 1)).Code)
		until(t, func() bool { return len(types()) == 3 })
	})
}

func TestAnEncryptedEventWaitsForItsKeyAndTheRoomWithIt(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge, func(o *Options) { o.Timing.Keys = time.Hour })
		encrypted := strings.Replace(pushed("$a"), "m.room.message", "m.room.encrypted", 1)
		f := openFront(p)
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, encrypted).Code)
		require.Equal(t, http.StatusOK, put(f, "2", hsToken, pushed("$b")).Code)
		bridge.handles(t, "$a")
		p.matrix.decrypted("$a")
		bridge.handles(t, "$a", "$b")
	})
}

func TestTheFrontListensAndStops(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		f := openFront(launch(t, on, newBridge()))
		socket := filepath.Join(t.TempDir(), "s")
		require.NoError(t, f.listen(appservice.HostConfig{Hostname: socket}))
		require.FileExists(t, socket)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		f.stop(ctx)
		require.NoError(t, ctx.Err())
	})
}

func TestEventsWaitUntilTheirRoomIsCreated(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.creating = "!r:hs"
		p := launch(t, on, bridge)
		other := strings.ReplaceAll(pushed("$other"), "!r:hs", "!other:hs")
		f := openFront(p)
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, pushed("$a", "$b")).Code)
		require.Equal(t, http.StatusOK, put(f, "2", hsToken, other).Code)
		bridge.handles(t, "$other")
		bridge.change(func() { bridge.creating = "" })
		bridge.handles(t, "$other", "$a", "$b")
	})
}

// People react to what they see, and they see a message that a process has sent before its end and nobody knows of yet.
func TestWhatRefersBackWaitsForWhatTheLastProcessLeft(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := boot(t, on, bridge)
		take(t, first, text(anna, "A", "one"))
		reaction := strings.ReplaceAll(pushed("$reaction"), `"content":{`, `"content":{"m.relates_to":{"event_id":"$one"},`)
		for i, body := range []string{pushed("$plain"), reaction} {
			body = strings.ReplaceAll(body, "!r:hs", annasRoom)
			require.Equal(t, http.StatusOK, put(openFront(first), fmt.Sprint(i), hsToken, body).Code)
		}
		first.die()
		var tries atomic.Int64
		bridge.set(func() {
			bridge.before = func(network.MessageEvent) error { tries.Add(1); return network.ErrTemporary }
		})
		// looking again and again is no sign that the event ends processes
		second := boot(t, on, bridge, func(o *Options) { o.Timing.DeadlyTries = 3 })
		require.NoError(t, second.Run(t.Context()))
		t.Cleanup(second.die)
		until(t, func() bool { return tries.Load() > 5 })
		bridge.handles(t, "$plain")
		bridge.set(func() { bridge.before = nil })
		bridge.handles(t, "$plain", "$reaction")
		bridge.shows(t, anna, "one")
	})
}

// A bridge that is not set up for encryption does not stop a room for a key that never comes.
func TestNobodyWaitsForKeysWithoutEncryption(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.blind = true
		p := launch(t, on, bridge, func(o *Options) { o.Timing.Keys = time.Hour })
		encrypted := strings.Replace(pushed("$a"), "m.room.message", "m.room.encrypted", 1)
		require.Equal(t, http.StatusOK, put(openFront(p), "1", hsToken, encrypted).Code)
		require.Equal(t, http.StatusOK, put(openFront(p), "2", hsToken, pushed("$b")).Code)
		bridge.handles(t, "$a", "$b")
	})
}

// FuzzTransaction reads what a homeserver may push, in which strangers' events are: each element becomes at most one row.
func FuzzTransaction(f *testing.F) {
	for _, seed := range []string{
		pushed("$a", "$b"), `{"events":[1,null,"x",{"event_id":1},{"room_id":[],"type":{}}]}`,
		`{"events":[{"type":"m.room.encrypted","room_id":"!r:hs","event_id":"$a","sender":"@x:hs","content":{"algorithm":"?"},"state_key":""}],
			"ephemeral":[{"type":"m.typing","room_id":"!r:hs","content":{"user_ids":[3]}}],"to_device":[{"type":"m.room_key"}],
			"device_lists":{"changed":["@a:hs"]},"device_one_time_keys_count":{"@b:hs":{"D":{"signed_curve25519":-1}}}}`,
		`{"de.sorunome.msc2409.ephemeral":[{"type":"m.receipt"}],"org.matrix.msc3202.device_lists":{"left":[""]}}`, `[]`, `{"events":{}}`,
	} {
		f.Add([]byte(seed))
	}
	secret, err := NewSecret(make([]byte, secretLength))
	require.NoError(f, err)
	front := &front{d: &Delivery{secret: secret}, ours: func(user id.UserID) bool { return user == "@bot:hs" }}
	f.Fuzz(func(t *testing.T, body []byte) {
		var txn transactionBody
		if json.Unmarshal(body, &txn) != nil {
			return
		}
		read := front.read(t.Context(), txn)
		require.LessOrEqual(t, len(read.rows), len(txn.Events))
		for _, row := range read.rows {
			require.NotEmpty(t, row.EventID)
		}
		require.Equal(t, len(read.toDevice), len(txn.ToDevice)+len(txn.OldToDevice))
	})
}
