package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// played is a view with given figures.
type played struct {
	figures Figures
	err     error
}

func (p *played) Figures(context.Context) (Figures, error) { return p.figures, p.err }

func some() *played {
	hour := time.Now().Add(-time.Hour)
	return &played{figures: Figures{
		Waiting: []Waiting{
			{Way: "in", State: "new", Rows: 2, Oldest: time.Now()}, {Way: "in", State: "new", Rows: 3, Oldest: hour},
			{Way: "in", State: "held", Rows: 1, Oldest: time.Now().Add(-24 * time.Hour)}, {Way: "out", State: "unknown", Rows: 1, Oldest: hour},
		},
		Kept:     map[string]int{"out": 4},
		Logins:   map[Login]int{{Network: "whatsapp", State: "connected"}: 2, {Network: "messenger", State: "connected"}: 1},
		Ended:    map[Result]int64{{Way: "in", Result: "shown"}: 17},
		Counters: map[string]int64{"commits": 5},
	}}
}

func get(t *testing.T, view View, path, host string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	handler(view, zerolog.Nop()).ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return w.Code, string(body)
}

func TestMetrics(t *testing.T) {
	status, body := get(t, some(), "/metrics", "127.0.0.1:29381")
	require.Equal(t, http.StatusOK, status)
	for _, line := range []string{
		`causeway_up 1`, `causeway_waiting{state="new",way="in"} 5`, `causeway_waiting{state="held",way="in"} 1`,
		`causeway_waiting{state="unknown",way="out"} 1`, `causeway_oldest_seconds{way="matrix"} 0`, `causeway_kept{way="out"} 4`,
		`causeway_kept{way="in"} 0`, `causeway_logins{network="whatsapp",state="connected"} 2`, `causeway_ended_total{result="shown",way="in"} 17`,
		`causeway_commits_total 5`, `causeway_disk_low 0`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.Regexp(t, `causeway_oldest_seconds\{way="in"\} 36\d\d\.`, body, "a held row is none that is late")
	require.Contains(t, body, "go_goroutines")
}

func TestMetricsWithoutADatabase(t *testing.T) {
	status, body := get(t, &played{err: errors.New("10.0.0.7 refused")}, "/metrics", "localhost")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "causeway_up 0\n")
	require.NotContains(t, body, "causeway_waiting")
	require.NotContains(t, body, "10.0.0.7")
}

func TestHealth(t *testing.T) {
	read := func(view View) (status int, answer report) {
		status, body := get(t, view, "/healthz", "[::1]:1")
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		return status, answer
	}
	status, answer := read(some())
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, report{Healthy: true, Problems: []string{}, Logins: map[string]int{"connected": 3}, Waiting: 7, Kept: 4}, answer)

	full := some()
	full.figures.DiskLow = true
	status, answer = read(full)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, []string{"the disk is nearly full: nothing is taken in"}, answer.Problems)

	status, answer = read(&played{err: errors.New("10.0.0.7 refused")})
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, []string{"the database does not answer"}, answer.Problems)
}

func TestOnlyTheLoopbackIsAnswered(t *testing.T) {
	for host, want := range map[string]int{
		"127.0.0.1:1": 200, "localhost:1": 200, "[::1]:1": 200, "evil.example": 403, "192.0.2.7:1": 403, "127.0.0.1.evil.example": 403,
	} {
		status, _ := get(t, some(), "/metrics", host)
		require.Equal(t, want, status, host)
	}
	status, _ := get(t, some(), "/", "localhost")
	require.Equal(t, http.StatusNotFound, status)
}

func TestTheServerListensAndEnds(t *testing.T) {
	server, err := Open("127.0.0.1:0", some(), zerolog.Nop())
	require.NoError(t, err)
	_, err = Open(server.Address.String(), some(), zerolog.Nop())
	require.ErrorContains(t, err, "network.listen.metrics.address")
	answer, err := http.Get("http://" + server.Address.String() + "/healthz")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	server.Close(t.Context())
	_, err = http.Get("http://" + server.Address.String() + "/healthz")
	require.Error(t, err)
}
