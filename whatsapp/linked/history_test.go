package linked

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// past links a device to a phone with a past, and reads all of it.
func past(t *testing.T, chats, messages int) (anna *device, pieces []network.HistoryEvent) {
	t.Helper()
	anna = &device{told: newTold(t), owner: person("Anna"), db: openDatabase(t)}
	_, err := anna.owner.GrowHistory(chats, messages)
	require.NoError(t, err)
	store := openStoreOn(t, anna.db)
	anna.open(store, linkedBy(t, store, anna.owner))
	anna.connect()
	for done := false; !done; {
		piece := await(anna.told, "history", func(network.HistoryEvent) bool { return true })
		pieces = append(pieces, piece)
		require.True(t, piece.Recent)
		done = piece.Progress == 100
	}
	return anna, pieces
}

func TestHistory(t *testing.T) {
	for _, size := range []struct{ chats, messages int }{{1, 1}, {10, 500}, {300, 10_000}} {
		t.Run(fmt.Sprintf("%d in %d", size.messages, size.chats), func(t *testing.T) {
			if size.messages > 1000 && testing.Short() {
				t.Skip("the largest history takes a minute: run without -short")
			}
			anna, pieces := past(t, size.chats, size.messages)
			began := time.Now()
			seen, conversations := map[network.MessageID]int{}, map[network.Address]string{}
			var before, peak runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for _, piece := range pieces {
				require.NoError(t, anna.ReadHistory(within(t), piece.Reference, func(chat network.HistoryChat) error {
					conversations[chat.Conversation] = chat.Name
					require.LessOrEqual(t, len(chat.Messages), partSize)
					last := time.Now()
					for _, message := range chat.Messages {
						seen[message.Message.ID]++
						require.Equal(t, chat.Conversation, message.Message.ID.Conversation)
						require.False(t, message.Message.Time.After(last), "newest first")
						last = message.Message.Time
						require.Contains(t, message.Message.Content.(network.Text).Body, "old message")
					}
					if chat.Conversation.IsGroup() {
						require.NotEmpty(t, chat.Name)
					} else {
						require.Equal(t, network.KindPhone, chat.Alias.Kind)
					}
					var now runtime.MemStats
					if runtime.ReadMemStats(&now); now.HeapAlloc > peak.HeapAlloc {
						peak = now
					}
					return nil
				}))
				require.NoError(t, anna.ForgetHistory(within(t), piece.Reference))
			}
			require.Len(t, seen, size.messages)
			require.Len(t, conversations, size.chats)
			for id, count := range seen {
				require.Equal(t, 1, count, id)
			}
			t.Logf("%d messages of %d chats in %d pieces: %s, %.1f MiB more than before at most", size.messages, size.chats,
				len(pieces), time.Since(began).Round(time.Millisecond), float64(int64(peak.HeapAlloc)-int64(before.HeapAlloc))/(1<<20))
			var people []network.Person
			require.Eventually(t, func() bool {
				var err error
				people, err = anna.Contacts(t.Context())
				return err == nil && (size.chats == 1 || len(people) > 0)
			}, patience, 10*time.Millisecond)
			if size.chats > 1 { // of one chat, the past may have one's own words only
				require.NotEmpty(t, people)
				require.NotEmpty(t, people[0].Name)
			}
		})
	}
}

func TestHistoryEndsEarly(t *testing.T) {
	anna, pieces := past(t, 2, 40)
	stop := errors.New("enough")
	require.ErrorIs(t, anna.ReadHistory(within(t), pieces[0].Reference, func(network.HistoryChat) error { return stop }), stop)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, anna.ReadHistory(ended, pieces[0].Reference, func(network.HistoryChat) error { return nil }))
	require.ErrorIs(t, anna.ReadHistory(t.Context(), []byte("nonsense"), nil), network.ErrMediaGone)
	anna.Disconnect()
	anna.open(anna.store, anna.Self(), func(cfg *Config) { cfg.HistoryLimit = 100 })
	anna.connect()
	require.ErrorIs(t, anna.ReadHistory(within(t), pieces[0].Reference, func(network.HistoryChat) error { return nil }), network.ErrTooLarge)
}

func squeezed(t testing.TB, plain []byte) *bytes.Reader {
	t.Helper()
	var file bytes.Buffer
	writer := zlib.NewWriter(&file)
	_, err := writer.Write(plain)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return bytes.NewReader(file.Bytes())
}

// Whatever a piece contains, reading it ends, within its limit.
func FuzzOverview(f *testing.F) {
	f.Add([]byte{0x08, 0x00, 0x12, 0x03, 0x0a, 0x01, 'x'})
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, plain []byte) {
		r := &pastReader{link: &link{}, limit: 1 << 16}
		defer func() { // what is said of people goes to stores, which this test does not have
			_ = recover()
		}()
		_ = r.overview(t.Context(), squeezed(t, plain))
		require.LessOrEqual(t, len(r.heads), len(plain))
	})
}

func TestBombIsRefused(t *testing.T) {
	r := &pastReader{link: &link{}, limit: 1 << 20}
	bomb := append([]byte{0x12, 0x80, 0x80, 0x80, 0x04}, make([]byte, 8<<20)...) // a conversation of 8 MiB
	require.ErrorIs(t, r.overview(t.Context(), squeezed(t, bomb)), network.ErrTooLarge)
	require.ErrorIs(t, r.overview(t.Context(), bytes.NewReader([]byte("no zlib"))), network.ErrMediaBroken)
	cut := append([]byte{0x12, 0x10}, make([]byte, 4)...)
	require.ErrorIs(t, r.overview(t.Context(), squeezed(t, cut)), network.ErrMediaBroken)
}
