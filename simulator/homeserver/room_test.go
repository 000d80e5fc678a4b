package homeserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/simulator/homeserver"
)

func TestRoomAsABridgeMakesIt(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t, homeserver.Appservice(registration("")))
	bot, bob, alice := ghost(t, hs, "bridgebot"), ghost(t, hs, "net_bob"), user(t, hs, "alice")
	require.NoError(t, bob.SetDisplayName(ctx, "Bob"))

	made, err := bot.CreateRoom(ctx, &mautrix.ReqCreateRoom{
		Preset: "private_chat", Name: "Bob", IsDirect: true, Invite: []id.UserID{alice.UserID, bob.UserID},
		CreationContent: map[string]any{"m.federate": false, "type": "m.space", "mark": "x"},
		PowerLevelOverride: &event.PowerLevelsEventContent{
			Users: map[id.UserID]int{bot.UserID: 9001}, Events: map[string]int{"m.room.name": 99},
		},
		InitialState: []*event.Event{{
			Type: event.Type{Type: "m.bridge", Class: event.StateEventType}, StateKey: ptr("key"),
			Content: event.Content{Raw: map[string]any{"protocol": "x"}},
		}, {
			Type: event.StateJoinRules, Content: event.Content{Parsed: &event.JoinRulesEventContent{JoinRule: event.JoinRulePublic}},
		}},
	})
	require.NoError(t, err)
	room := made.RoomID

	kinds := []string{}
	for _, ev := range hs.Timeline(room.String()) {
		kinds = append(kinds, ev.Type)
	}
	require.Equal(t, []string{"m.room.create", "m.room.member", "m.room.power_levels", "m.room.history_visibility",
		"m.room.guest_access", "m.bridge", "m.room.join_rules", "m.room.name", "m.room.member", "m.room.member"}, kinds)
	create, ok := hs.State(room.String(), "m.room.create", "")
	require.True(t, ok)
	require.JSONEq(t, `{"m.federate":false,"type":"m.space","mark":"x","room_version":"11"}`, string(create.Content))
	invitation, _ := hs.State(room.String(), "m.room.member", "@net_bob:localhost")
	require.JSONEq(t, `{"membership":"invite","displayname":"Bob","is_direct":true}`, string(invitation.Content))

	_, err = bob.JoinRoomByID(ctx, room)
	require.NoError(t, err)
	_, err = bob.SendStateEvent(ctx, room, event.StateRoomName, "", map[string]string{"name": "mine"})
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = alice.SendText(ctx, room, "not yet joined")
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = bot.InviteUser(ctx, room, &mautrix.ReqInviteUser{UserID: bob.UserID})
	require.ErrorContains(t, err, "is already in the room")
	require.Equal(t, map[string]string{
		"@bridgebot:localhost": "join", "@net_bob:localhost": "join", "@alice:localhost": "invite",
	}, hs.Members(room.String()))

	members, err := bot.JoinedMembers(ctx, room)
	require.NoError(t, err)
	require.Equal(t, "Bob", members.Joined[bob.UserID].DisplayName)
	require.NoError(t, bob.SetDisplayName(ctx, "Robert"))
	members, err = bot.JoinedMembers(ctx, room)
	require.NoError(t, err)
	require.Equal(t, "Robert", members.Joined[bob.UserID].DisplayName, "a new name spreads to the rooms")
}

func ptr[T any](v T) *T { return &v }

func TestMembershipRules(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice, bob, eve := user(t, hs, "alice"), user(t, hs, "bob"), user(t, hs, "eve")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	room := made.RoomID

	_, err = bob.JoinRoomByID(ctx, room)
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = alice.InviteUser(ctx, room, &mautrix.ReqInviteUser{UserID: bob.UserID})
	require.NoError(t, err)
	_, err = bob.JoinRoomByID(ctx, room)
	require.NoError(t, err)
	_, err = bob.KickUser(ctx, room, &mautrix.ReqKickUser{UserID: alice.UserID})
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = eve.InviteUser(ctx, room, &mautrix.ReqInviteUser{UserID: eve.UserID})
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = alice.BanUser(ctx, room, &mautrix.ReqBanUser{UserID: bob.UserID})
	require.NoError(t, err)
	_, err = bob.JoinRoomByID(ctx, room)
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = alice.UnbanUser(ctx, room, &mautrix.ReqUnbanUser{UserID: bob.UserID})
	require.NoError(t, err)
	_, err = eve.Messages(ctx, room, "", "", mautrix.DirectionBackward, nil, 10)
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = alice.LeaveRoom(ctx, room)
	require.NoError(t, err)
	_, err = alice.SendText(ctx, room, "gone")
	require.ErrorIs(t, err, mautrix.MForbidden)
	joined, err := alice.JoinedRooms(ctx)
	require.NoError(t, err)
	require.Empty(t, joined.JoinedRooms)
}

func TestPowerCannotBeTakenFromAbove(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice, bob := user(t, hs, "alice"), user(t, hs, "bob")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{PowerLevelOverride: &event.PowerLevelsEventContent{
		Users: map[id.UserID]int{alice.UserID: 100, bob.UserID: 50}, Events: map[string]int{"m.room.power_levels": 50},
	}})
	require.NoError(t, err)
	require.NoError(t, hs.Join(made.RoomID.String(), bob.UserID.String()))
	relevel := func(levels map[string]int) error {
		_, err := bob.SendStateEvent(ctx, made.RoomID, event.StatePowerLevels, "", map[string]any{
			"users": levels, "events": map[string]int{"m.room.power_levels": 50},
		})
		return err
	}
	require.ErrorIs(t, relevel(map[string]int{"@alice:localhost": 0, "@bob:localhost": 50}), mautrix.MForbidden)
	require.ErrorIs(t, relevel(map[string]int{"@bob:localhost": 50}), mautrix.MForbidden)
	require.ErrorIs(t, relevel(map[string]int{"@alice:localhost": 100, "@bob:localhost": 51}), mautrix.MForbidden)
	require.NoError(t, relevel(map[string]int{"@alice:localhost": 100, "@bob:localhost": 50, "@carol:localhost": 50}))
}

func TestPagingBothWays(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	sent := []string{}
	for i := range 25 {
		sent = append(sent, fmt.Sprint(i))
		text(t, ctx, alice, made.RoomID, sent[i])
	}
	for _, dir := range []mautrix.Direction{mautrix.DirectionForward, mautrix.DirectionBackward} {
		read, token := []string{}, ""
		for page := 0; page == 0 || token != ""; page++ {
			got, err := alice.Messages(ctx, made.RoomID, token, "", dir, nil, 7)
			require.NoError(t, err)
			for _, ev := range got.Chunk {
				if ev.Type == event.EventMessage {
					read = append(read, ev.Content.Raw["body"].(string))
				}
			}
			token = got.End
		}
		if dir == mautrix.DirectionBackward {
			for i, j := 0, len(read)-1; i < j; i, j = i+1, j-1 {
				read[i], read[j] = read[j], read[i]
			}
		}
		require.Equal(t, sent, read)
	}
	filter := &mautrix.FilterPart{Senders: []id.UserID{"@nobody:localhost"}}
	none, err := alice.Messages(ctx, made.RoomID, "", "", mautrix.DirectionBackward, filter, 7)
	require.NoError(t, err)
	require.Empty(t, none.Chunk)
}

func TestContextOfAnEvent(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	var said []id.EventID
	for _, body := range numbers(9) {
		said = append(said, text(t, ctx, alice, made.RoomID, body))
	}
	around, err := alice.Context(ctx, made.RoomID, said[4], nil, 4)
	require.NoError(t, err)
	require.Equal(t, said[4], around.Event.ID)
	require.Equal(t, []id.EventID{said[3], said[2]}, []id.EventID{around.EventsBefore[0].ID, around.EventsBefore[1].ID})
	require.Equal(t, []id.EventID{said[5], said[6]}, []id.EventID{around.EventsAfter[0].ID, around.EventsAfter[1].ID})
	after, err := alice.Messages(ctx, made.RoomID, around.End, "", mautrix.DirectionForward, nil, 1)
	require.NoError(t, err)
	require.Equal(t, said[7], after.Chunk[0].ID)
	_, err = alice.Messages(ctx, made.RoomID, "x", "", mautrix.DirectionForward, nil, 1)
	require.ErrorContains(t, err, "M_BAD_JSON")
}

func TestRoomsHaveAliases(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice, bob := user(t, hs, "alice"), user(t, hs, "bob")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "public_chat", RoomAliasName: "talk"})
	require.NoError(t, err)
	_, err = alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{RoomAliasName: "talk"})
	require.ErrorContains(t, err, "M_ROOM_IN_USE")
	joined, err := bob.JoinRoom(ctx, "#talk:localhost", nil)
	require.NoError(t, err)
	require.Equal(t, made.RoomID, joined.RoomID)
	_, err = bob.DeleteAlias(ctx, "#talk:localhost")
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = alice.DeleteAlias(ctx, "#talk:localhost")
	require.NoError(t, err)
	_, err = bob.ResolveAlias(ctx, "#talk:localhost")
	require.ErrorIs(t, err, mautrix.MNotFound)
	_, err = alice.CreateAlias(ctx, "#walk:localhost", made.RoomID)
	require.NoError(t, err)
	found, err := bob.ResolveAlias(ctx, "#walk:localhost")
	require.NoError(t, err)
	require.Equal(t, made.RoomID, found.RoomID)
}

func TestRedactionRemovesWhatWasSaid(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	said := text(t, ctx, alice, made.RoomID, "regrettable")
	_, err = alice.SendReaction(ctx, made.RoomID, said, "+1")
	require.NoError(t, err)
	_, err = alice.SendReaction(ctx, made.RoomID, said, "+1")
	require.ErrorContains(t, err, "M_DUPLICATE_ANNOTATION")

	redaction, err := alice.RedactEvent(ctx, made.RoomID, said, mautrix.ReqRedact{Reason: "sorry"})
	require.NoError(t, err)
	ev, err := alice.GetEvent(ctx, made.RoomID, said)
	require.NoError(t, err)
	require.Empty(t, ev.Content.Raw)
	require.Equal(t, redaction.EventID, ev.Unsigned.RedactedBecause.ID)
	timeline := hs.Timeline(made.RoomID.String())
	require.Equal(t, said.String(), timeline[len(timeline)-1].Redacts)
	require.Equal(t, redaction.EventID.String(), timeline[len(timeline)-3].RedactedBy)
	_, err = alice.RedactEvent(ctx, made.RoomID, "$unknown")
	require.ErrorIs(t, err, mautrix.MNotFound)
}

func TestTransactionsTakeEffectOnce(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	send := func(room id.RoomID) id.EventID {
		sent, err := alice.SendMessageEvent(ctx, room, event.EventMessage, &event.MessageEventContent{
			MsgType: event.MsgText, Body: "once",
		}, mautrix.ReqSendEvent{TransactionID: "same"})
		require.NoError(t, err)
		return sent.EventID
	}
	first := send(made.RoomID)
	require.Equal(t, first, send(made.RoomID))
	restart := func(keep bool) {
		require.NoError(t, hs.Restart(keep))
		alice.Client.CloseIdleConnections() // they are dead
	}
	restart(true)
	require.Equal(t, first, send(made.RoomID), "a server that keeps its memory")
	require.Equal(t, []string{"once"}, bodies(hs, made.RoomID))
	restart(false)
	require.NotEqual(t, first, send(made.RoomID), "a server that lost it")
	require.Equal(t, []string{"once", "once"}, bodies(hs, made.RoomID))

	other, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	require.NotEqual(t, first, send(other.RoomID), "another room is another path")

	name := func() id.EventID {
		sent, err := alice.SendStateEvent(ctx, made.RoomID, event.StateRoomName, "", map[string]string{"name": "same"})
		require.NoError(t, err)
		return sent.EventID
	}
	require.Equal(t, name(), name(), "state that changes nothing makes no event")
}

func TestEventsHaveALimit(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	_, err = alice.SendText(ctx, made.RoomID, strings.Repeat("x", 66000))
	require.ErrorIs(t, err, mautrix.MTooLarge)
	_, err = hs.Send(made.RoomID.String(), alice.UserID.String(), "m.room.message", json.RawMessage(`"text"`))
	require.ErrorContains(t, err, "M_BAD_JSON")
}

func TestCreatorsOfVersionTwelveHaveEndlessPower(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	_, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{RoomVersion: "12", PowerLevelOverride: &event.PowerLevelsEventContent{
		Users: map[id.UserID]int{alice.UserID: 100},
	}})
	require.ErrorContains(t, err, "must not appear")
	require.Empty(t, hs.Rooms())
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{RoomVersion: "12", PowerLevelOverride: &event.PowerLevelsEventContent{
		Events: map[string]int{"m.room.name": 9000},
	}})
	require.NoError(t, err)
	require.NotContains(t, made.RoomID.String(), ":")
	_, err = alice.SendStateEvent(ctx, made.RoomID, event.StateRoomName, "", map[string]string{"name": "x"})
	require.NoError(t, err)
}
