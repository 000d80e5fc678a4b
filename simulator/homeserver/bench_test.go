package homeserver_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"

	"causeway/simulator/homeserver"
)

// BenchmarkSend is the hot path of the benches, over HTTP, client included. The goal is 5,000 a second.
func BenchmarkSend(b *testing.B) {
	hs := homeserver.Start(b)
	alice := user(b, hs, "alice")
	made, err := alice.CreateRoom(b.Context(), &mautrix.ReqCreateRoom{})
	require.NoError(b, err)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	var number atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			url := fmt.Sprintf("%s/_matrix/client/v3/rooms/%s/send/m.room.message/%d", hs.URL(), made.RoomID, number.Add(1))
			req, _ := http.NewRequest(http.MethodPut, url, strings.NewReader(`{"msgtype":"m.text","body":"hello"}`))
			req.Header.Set("Authorization", "Bearer "+alice.AccessToken)
			resp, err := transport.RoundTrip(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("failed to send: %v %v", resp, err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

// BenchmarkPush is the way from a user of the server to an application service.
func BenchmarkPush(b *testing.B) {
	var events atomic.Int64
	done := make(chan struct{})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if events.Add(int64(strings.Count(string(body), `"m.room.message"`))) == int64(b.N) {
			close(done)
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer service.Close()
	hs := homeserver.Start(b, homeserver.Appservice(registration(service.URL)))
	made, err := ghost(b, hs, "bridgebot").CreateRoom(b.Context(), &mautrix.ReqCreateRoom{})
	require.NoError(b, err)
	b.ResetTimer()
	for range b.N {
		if _, err = hs.Send(made.RoomID.String(), "@bridgebot:localhost", "m.room.message", map[string]string{"body": "hello"}); err != nil {
			b.Fatal(err)
		}
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkSyncInManyRooms is a client that follows 1,000 rooms.
func BenchmarkSyncInManyRooms(b *testing.B) {
	hs := homeserver.Start(b)
	alice := user(b, hs, "alice")
	made := &mautrix.RespCreateRoom{}
	for range 1000 {
		var err error
		made, err = alice.CreateRoom(b.Context(), &mautrix.ReqCreateRoom{})
		require.NoError(b, err)
	}
	first, err := alice.SyncRequest(b.Context(), 0, "", "", false, "")
	require.NoError(b, err)
	since := first.NextBatch
	b.ResetTimer()
	for range b.N {
		_, err = hs.Send(made.RoomID.String(), alice.UserID.String(), "m.room.message", map[string]string{"body": "hello"})
		require.NoError(b, err)
		news, err := alice.SyncRequest(b.Context(), 10000, since, "", false, "")
		require.NoError(b, err)
		require.Len(b, news.Rooms.Join, 1)
		since = news.NextBatch
	}
}
