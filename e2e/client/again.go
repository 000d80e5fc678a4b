package client

import (
	"net/http"
	"time"
)

const (
	// sendTries is how often a request under a transaction id is made while the homeserver fails, and sendPause the wait between.
	sendTries = 5
	sendPause = 200 * time.Millisecond
)

// again repeats what a homeserver answered with 500, as clients do: requests by PUT have a transaction id or set a state, so
// that a repetition is harmless. A busy test homeserver fails now and then.
type again struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (a again) RoundTrip(request *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		response, err := a.next.RoundTrip(request)
		if err != nil || response.StatusCode != http.StatusInternalServerError || request.Method != http.MethodPut ||
			request.GetBody == nil || try == sendTries {
			return response, err
		}
		pause := time.NewTimer(sendPause)
		select {
		case <-pause.C:
		case <-request.Context().Done():
			pause.Stop()
			return response, nil
		}
		body, err := request.GetBody()
		if err != nil {
			return response, nil
		}
		_ = response.Body.Close()
		request = request.Clone(request.Context())
		request.Body = body
	}
}
