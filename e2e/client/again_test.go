package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAgain(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bodies = append(bodies, r.Method+" "+string(body)); len(bodies) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: again{http.DefaultTransport}}
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader("hi"))
		require.NoError(t, err)
		answer, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
	}
	require.Equal(t, []string{"POST hi", "PUT hi", "PUT hi"}, bodies, "a POST is not repeated")
}
