package homeserver_test

import (
	"fmt"
	"io"
	"net/http"
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
