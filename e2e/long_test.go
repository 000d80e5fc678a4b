package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
)

// A text that grows beyond what one message may have arrives in several, in order and whole.
func TestLongText(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	long := strings.Repeat("<hr>", 14_000)
	room.sends(event.EventMessage, &event.MessageEventContent{
		MsgType: event.MsgText, Body: "lines", Format: event.FormatHTML, FormattedBody: "<p>first</p>" + long + "<p>last</p>",
	})
	first, second := anna.hearsNext(), anna.hearsNext()
	require.True(t, strings.HasPrefix(first.Text, "first"))
	require.True(t, strings.HasSuffix(second.Text, "last"))
	require.LessOrEqual(t, len(first.Text), 65_536)
	require.Equal(t, 14_000, strings.Count(first.Text+second.Text, "---"))
	room.Says("and on")
	anna.HearsText(alice, "and on")
}
