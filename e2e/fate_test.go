package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/child"
	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

// A message's whole life in words: under way, with the network, on the phone, read. One that fails says why, is tried again
// when the reason is gone, and the operator sees it too, on the command line and in the metrics.
func TestFateOfAMessage(t *testing.T) {
	port, err := child.FreePort()
	require.NoError(t, err)
	metrics := fmt.Sprintf("127.0.0.1:%d", port)
	w := newWorld(t, withConfig(func(config stage.Config) { config.Set("network.listen.metrics.address", metrics) }))
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	said := room.Says("have you eaten already?")
	heard := anna.HearsText(alice, "have you eaten already?")
	require.NoError(t, anna.Read(heard.ID))
	w.eventually("the read receipt to be told", func() bool {
		room.commands(said, "status")
		return strings.Contains(room.WaitForNotice("WhatsApp has it since").Body, "It was read at") || room.told("It was read at")
	})
	anna.Says(alice, "not yet, and you?")
	answer := room.WaitForMessage(anna, "not yet, and you?")
	room.commands(answer.ID, "status")
	room.WaitForNotice("It came from WhatsApp at", "It is in this room since")

	require.NoError(t, anna.OptOut(integrator))
	refused := room.Says("then let us cook together")
	notice := room.WaitForNotice("does not take part", "CW-1201")
	// the room is closed now: the bot takes the link of a message
	alice.Command("status " + room.ID.EventURI(refused).MatrixToURL())
	alice.WaitForNotice("It was not sent", "CW-1201", "`retry`")
	alice.Command("why " + room.ID.EventURI(notice.ID).MatrixToURL())
	alice.WaitForNotice("This person does not take part")
	require.Contains(t, w.journal("list"), "CW-1201")
	require.NotContains(t, w.journal("list", "--all"), "cook")

	require.NoError(t, anna.OptIn(integrator))
	alice.Command("retry " + room.ID.EventURI(refused).MatrixToURL())
	alice.WaitForNotice("It is tried again now")
	anna.HearsText(alice, "then let us cook together")

	alice.Command("status")
	require.Contains(t, alice.WaitForNotice("connected", "Last heard of the network"), "Nothing waits")
	alice.Command("ping")
	alice.WaitForNotice("WhatsApp answered within")
	alice.Command("why cw-1402")
	alice.WaitForNotice("did not confirm the message")

	require.Contains(t, fetch(t, "http://"+metrics+"/healthz"), `"healthy":true`)
	figures := fetch(t, "http://"+metrics+"/metrics")
	require.Contains(t, figures, `causeway_logins{network="whatsapp",state="connected"} 1`)
	require.Contains(t, figures, `causeway_ended_total{result="sent",way="out"} 2`)
	require.Contains(t, figures, `causeway_ended_total{result="failed",way="out"} 1`)
	for _, private := range []string{alice.name, alice.jid, strings.TrimPrefix(anna.Phone(), "+"), anna.LID()} {
		require.NotContains(t, figures, private)
	}
}

// A reaction and a correction count as sent when the network says that it has them, and not before.
func TestWhatIsNotAcknowledgedIsNotSent(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) {
		config.Set("matrix.message_status_events", true)
		config.Set("network.interop.reactions", "on")
	}))
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	anna.Says(alice, "the train is late again")
	late := room.WaitForMessage(anna, "the train is late again")
	said := room.Says("then I shall come at nine")
	anna.HearsText(alice, "then I shall come at nine")
	w.eventually("the message to be sent", func() bool { return room.fate(said) == event.MessageStatusSuccess })

	lost := w.net.Fault(meta.Fault{Kind: meta.FaultAckLost, Match: meta.Match{Account: alice.jid}, Count: -1})
	reaction := room.reacts(late.ID, "😢")
	require.Equal(t, "😢", anna.hearsReaction().Emoji)
	w.eventually("the acknowledgement to get lost", func() bool { return lost.Struck() > 0 })
	room.commands(reaction, "status")
	room.WaitForNotice("under way to WhatsApp")
	require.Empty(t, room.fate(reaction))
	lost.Remove()
	w.eventually("the reaction to be sent", func() bool { return room.fate(reaction) == event.MessageStatusSuccess })
}

// The homeserver stops answering and the inbox is full: the network keeps the rest. When the homeserver is back everything
// comes by itself, once and in order.
func TestAFullInboxFillsNoDisk(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) { config.Set("network.delivery.inbox_limit", 3) }))
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	anna.Says(alice, "before the storm")
	room.WaitForMessage(anna, "before the storm")

	require.NoError(t, w.stage.Homeserver.Freeze())
	t.Cleanup(func() { _ = w.stage.Homeserver.Thaw() })
	texts := []string{"before the storm"}
	for i := range 8 {
		texts = append(texts, fmt.Sprintf("in the storm, line %d", i))
		anna.Says(alice, texts[len(texts)-1])
	}
	w.eventually("the bridge to leave the rest with the network", func() bool { return strings.Contains(w.stage.Bridge.Log(), "the inbox is full") })
	require.NoError(t, w.stage.Homeserver.Thaw())
	room.WaitForMessage(anna, texts[len(texts)-1])
	require.Equal(t, texts, room.Texts(anna))
}

// commands answers a message with a command.
func (r *room) commands(to id.EventID, command string) {
	r.user.house.world.t.Helper()
	r.sends(event.EventMessage, &event.MessageEventContent{
		MsgType: event.MsgText, Body: "!cw " + command, RelatesTo: (&event.RelatesTo{}).SetReplyTo(to),
	})
}

// told says whether a program has said something in the room.
func (r *room) told(part string) bool {
	for _, line := range r.Lines() {
		if line.Notice && client.ContainsAll(line.Body, part) {
			return true
		}
	}
	return false
}

// fate is the last status that the bridge gave an event, empty if it gave none.
func (r *room) fate(eventID id.EventID) event.MessageStatus {
	w := r.user.house.world
	page, err := r.user.client.Matrix.Messages(w.soon(), r.ID, "", "", mautrix.DirectionBackward, nil, 100)
	require.NoError(w.t, err)
	for _, evt := range page.Chunk {
		var status event.BeeperMessageStatusEventContent
		if evt.Type.Type == event.BeeperMessageStatus.Type && evt.Content.ParseRaw(event.BeeperMessageStatus) == nil {
			status = *evt.Content.Parsed.(*event.BeeperMessageStatusEventContent)
		}
		if status.RelatesTo.EventID == eventID {
			return status.Status
		}
	}
	return ""
}

// journal runs the operator's command beside the running bridge.
func (h *house) journal(args ...string) string {
	t := h.world.t
	t.Helper()
	cmd := exec.CommandContext(h.world.ctx, binary(t), append([]string{"journal"}, args...)...)
	cmd.Dir = h.stage.Bridge.Dir
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	return string(output)
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body)
}
