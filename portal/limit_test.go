package portal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
)

// The longest text that fits into a Matrix event is carried whole: an event has 65,536 bytes in all.
func TestLongestText(t *testing.T) {
	body := strings.Repeat("a", 65_000)
	content, err := portal.FromMatrix(&event.MessageEventContent{MsgType: event.MsgText, Body: body})
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: body}, content)
}
