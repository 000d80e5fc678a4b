package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/rs/zerolog"
)

// health answers /healthz: 200 while the bridge can do its work, 503 while it needs its operator.
type health struct {
	view View
	log  zerolog.Logger
}

// report is the answer's body.
type report struct {
	Healthy bool `json:"healthy"`
	// Problems are what keeps the bridge from its work, in words.
	Problems []string `json:"problems"`
	// Logins counts them by state; one that is away is the network's affair or its user's, and no ill health.
	Logins map[string]int `json:"logins"`
	// Waiting and Kept count rows of the journal.
	Waiting int `json:"waiting"`
	Kept    int `json:"kept"`
}

// ServeHTTP implements [http.Handler].
func (h health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	defer cancel()
	answer := report{Problems: []string{}, Logins: map[string]int{}}
	figures, err := h.view.Figures(ctx)
	if err != nil {
		h.log.Warn().Err(err).Msg("Failed to read the figures for the state of health")
		answer.Problems = append(answer.Problems, "the database does not answer")
	}
	if figures.DiskLow {
		answer.Problems = append(answer.Problems, "the disk is nearly full: nothing is taken in")
	}
	for login, count := range figures.Logins {
		answer.Logins[login.State] += count
	}
	for _, w := range figures.Waiting {
		answer.Waiting += w.Rows
	}
	for _, rows := range figures.Kept {
		answer.Kept += rows
	}
	answer.Healthy = len(answer.Problems) == 0
	w.Header().Set("Content-Type", "application/json")
	if !answer.Healthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}
