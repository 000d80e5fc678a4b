package bridge

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix"
)

func TestFailedRequestsDoNotLogWhatWasSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Close()
	client, err := mautrix.NewClient(server.URL, "@bot:localhost", "token")
	require.NoError(t, err)
	client.DefaultHTTPRetries = 0

	ask := func(log zerolog.Logger) {
		ctx := log.With().Str("derived", "yes").Logger().WithContext(context.Background())
		_, err := client.SendText(ctx, "!room:localhost", "a private text")
		require.Error(t, err)
	}
	var loud, quiet bytes.Buffer
	ask(zerolog.New(&loud).Level(zerolog.InfoLevel))
	require.Contains(t, loud.String(), "a private text", "what this is against")
	log := zerolog.New(&quiet).Level(zerolog.InfoLevel).Hook(quietRequests{})
	ask(log)
	log.Error().Msg("something else")
	require.NotContains(t, quiet.String(), "a private text")
	require.Contains(t, quiet.String(), "something else")
}
