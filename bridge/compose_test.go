package bridge

import (
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2/bridgeconfig"
)

// Beside an existing bridge for WhatsApp, names that are its own are reported at start.
func TestOverlapsWithAnotherBridge(t *testing.T) {
	ours := bridgeconfig.AppserviceConfig{ID: "causeway", UsernameTemplate: "causeway_{{.}}", Bot: bridgeconfig.BotUserConfig{Username: "causewaybot"}}
	require.Empty(t, overlaps(ours))
	theirs := bridgeconfig.AppserviceConfig{ID: "whatsapp", UsernameTemplate: "whatsapp_{{.}}", Bot: bridgeconfig.BotUserConfig{Username: "whatsappbot"}}
	require.Len(t, overlaps(theirs), 3)
}
