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

func TestNumbersStayOutOfTheLog(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(numberless{zerolog.MultiLevelWriter(&out)})
	log.Info().Str("portal_id", "whatsapp-pn-4915110000001").Str("ghost", "@causeway_whatsapp-pn-4915110000001:localhost").Str("login", "whatsapp-lid-7").Msg("something")
	log.Info().Msg("something else")
	require.Equal(t, `{"level":"info","portal_id":"whatsapp-pn-…","ghost":"@causeway_whatsapp-pn-…:localhost","login":"whatsapp-lid-7","message":"something"}
{"level":"info","message":"something else"}
`, out.String())
}
