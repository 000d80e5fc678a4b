package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
)

// A user who gives the bridge their own token is shown as themselves, with no second registration at the homeserver.
func TestLinkedDoublePuppetByToken(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) {
		config.Set("network.linked.history.enabled", false)
		config.Set("double_puppet.secrets", map[string]any{})
	}))
	alice := newLinked(w)
	anna := w.Phone("+4915130000046", "Anna")
	_, err := alice.phone.Say(anna.LID(), "without a token")
	require.NoError(t, err)
	room := alice.joinsRoomWith(anna)
	_, err = room.WaitForLine(w.soon(), "the user's ghost", func(line client.Line) bool {
		return line.Body == "without a token" && alice.phone.is(line.Sender)
	})
	require.NoError(t, err)
	alice.Command("login-matrix " + alice.client.Matrix.AccessToken)
	alice.WaitForNotice("success")
	_, err = alice.phone.Say(anna.LID(), "with a token")
	require.NoError(t, err)
	room.WaitForOwn("with a token")
}

// The bridge's own registration is enough to show users as themselves, if it covers them; and what they write elsewhere
// leaves nothing in the bridge.
func TestLinkedDoublePuppetByOwnRegistration(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) {
		config.Set("network.linked.history.enabled", false)
		config.Set("double_puppet.secrets", map[string]any{})
		config.Set("network.double_puppets", true)
	}))
	alice, carol := newLinked(w), w.MatrixUser("carol")
	created, err := alice.client.Matrix.CreateRoom(w.ctx, &mautrix.ReqCreateRoom{Preset: "private_chat", Invite: []id.UserID{carol.client.UserID()}})
	require.NoError(t, err)
	_, err = carol.client.Matrix.JoinRoomByID(w.ctx, created.RoomID)
	require.NoError(t, err)
	_, err = carol.client.Matrix.SendText(w.ctx, created.RoomID, "!cw ping")
	require.NoError(t, err)
	anna := w.Phone("+4915130000048", "Anna")
	_, err = alice.phone.Say(anna.LID(), "from the phone")
	require.NoError(t, err)
	room := alice.WaitForRoom(anna) // joined without a hand, too
	room.WaitForOwn("from the phone")
	require.Equal(t, "from the phone", anna.HearsLinked(alice).Text)
	room.Says("from Matrix")
	require.Equal(t, "from Matrix", anna.HearsLinked(alice).Text)

	w.away(func() {}) // what is known of rooms is found again
	alice.waitConnected(alice.phone)
	room.Says("after a restart")
	require.Equal(t, "after a restart", anna.HearsLinked(alice).Text)
	_, err = carol.client.Matrix.SendText(w.ctx, created.RoomID, "still between us")
	require.NoError(t, err)
	ours := w.rows("cw_mx_inbox WHERE room_id = $1", string(room.ID))
	require.Positive(t, ours)
	room.Says("one more")
	require.Equal(t, "one more", anna.HearsLinked(alice).Text)
	require.Greater(t, w.rows("cw_mx_inbox WHERE room_id = $1", string(room.ID)), ours)
	require.Zero(t, w.rows("cw_mx_inbox WHERE room_id = $1", string(created.RoomID)))
	require.Len(t, carol.client.Room(created.RoomID).Lines(), 2, "the bot has nothing to say there")
}

// joinsRoomWith accepts the invitation into the room of a conversation.
func (u *matrixUser) joinsRoomWith(p *person) *room {
	w := u.house.world
	w.t.Helper()
	w.eventually("an invitation", func() bool {
		for _, candidate := range u.client.Rooms() {
			if !candidate.Joined() {
				_, _ = u.client.Matrix.JoinRoomByID(w.ctx, candidate.ID) // tried again until it works
			}
		}
		return u.findRoom(p) != nil && u.findRoom(p).Joined()
	})
	return u.WaitForRoom(p)
}
