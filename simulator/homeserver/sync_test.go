package homeserver_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/simulator/homeserver"
)

func TestSyncTellsTheStory(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice, bob := user(t, hs, "alice"), user(t, hs, "bob")
	first, err := bob.SyncRequest(ctx, 0, "", "", false, "")
	require.NoError(t, err)
	require.Empty(t, first.Rooms.Join)

	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Name: "Talk", Invite: []id.UserID{bob.UserID}})
	require.NoError(t, err)
	room := made.RoomID
	invited, err := bob.SyncRequest(ctx, 10000, first.NextBatch, "", false, "")
	require.NoError(t, err)
	require.Len(t, invited.Rooms.Invite[room].State.Events, 5)

	for _, body := range numbers(15) {
		text(t, ctx, alice, room, body)
	}
	_, err = bob.JoinRoomByID(ctx, room)
	require.NoError(t, err)
	joined, err := bob.SyncRequest(ctx, 10000, invited.NextBatch, "", false, "")
	require.NoError(t, err)
	timeline := joined.Rooms.Join[room].Timeline
	require.True(t, timeline.Limited)
	require.Len(t, timeline.Events, 10)
	older, err := bob.Messages(ctx, room, timeline.PrevBatch, "", mautrix.DirectionBackward, nil, 100)
	require.NoError(t, err)
	require.Len(t, older.Chunk, len(hs.Timeline(room.String()))-10)
	kinds := map[string]bool{}
	for _, ev := range joined.Rooms.Join[room].State.Events {
		kinds[ev.Type.Type] = true
	}
	require.True(t, kinds["m.room.name"] && kinds["m.room.create"] && kinds["m.room.power_levels"])

	said := text(t, ctx, alice, room, "news")
	require.NoError(t, alice.MarkRead(ctx, room, said))
	_, err = alice.UserTyping(ctx, room, true, time.Minute)
	require.NoError(t, err)
	news, err := bob.SyncRequest(ctx, 10000, joined.NextBatch, "", false, "")
	require.NoError(t, err)
	require.Len(t, news.Rooms.Join[room].Timeline.Events, 1)
	require.Len(t, news.Rooms.Join[room].Ephemeral.Events, 2)
	require.Equal(t, []string{"@alice:localhost"}, hs.Typing(room.String()))
	require.Equal(t, said.String(), hs.ReadUpTo(room.String(), "@alice:localhost"))

	_, err = alice.KickUser(ctx, room, &mautrix.ReqKickUser{UserID: bob.UserID})
	require.NoError(t, err)
	out, err := bob.SyncRequest(ctx, 10000, news.NextBatch, "", false, "")
	require.NoError(t, err)
	require.Contains(t, out.Rooms.Leave, room)
	quiet, err := bob.SyncRequest(ctx, 20, out.NextBatch, "", false, "")
	require.NoError(t, err)
	require.Empty(t, quiet.Rooms.Join)
	require.Equal(t, out.NextBatch, quiet.NextBatch)
}

func TestSyncWakesAClient(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice, bob := user(t, hs, "alice"), user(t, hs, "bob")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "public_chat"})
	require.NoError(t, err)
	_, err = bob.JoinRoomByID(ctx, made.RoomID)
	require.NoError(t, err)

	heard, ready := make(chan string, 10), make(chan struct{}, 1)
	syncer := bob.Syncer.(*mautrix.DefaultSyncer)
	syncer.OnEventType(event.EventMessage, func(_ context.Context, ev *event.Event) { heard <- ev.Content.AsMessage().Body })
	syncer.OnSync(func(context.Context, *mautrix.RespSync, string) bool {
		select {
		case ready <- struct{}{}:
		default:
		}
		return true
	})
	syncing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = bob.SyncWithContext(syncing)
	}()
	<-ready
	text(t, ctx, alice, made.RoomID, "wake up")
	select {
	case body := <-heard:
		require.Equal(t, "wake up", body)
	case <-ctx.Done():
		t.Fatal("nothing was heard")
	}
	stop()
	<-done
}

func TestMessagesToDevices(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice, bob := user(t, hs, "alice"), hs.Register("bob", "secret")
	reader := clientOf(t, hs, bob.UserID, bob.Token)
	_, err := alice.SendToDevice(ctx, event.ToDeviceDummy, &mautrix.ReqSendToDevice{
		Messages: map[id.UserID]map[id.DeviceID]*event.Content{reader.UserID: {id.DeviceID(bob.DeviceID): {Raw: map[string]any{"a": "b"}}}},
	})
	require.NoError(t, err)
	got, err := reader.SyncRequest(ctx, 0, "", "", false, "")
	require.NoError(t, err)
	require.Len(t, got.ToDevice.Events, 1)
	got, err = reader.SyncRequest(ctx, 0, got.NextBatch, "", false, "")
	require.NoError(t, err)
	require.Empty(t, got.ToDevice.Events)
}

func TestAwait(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	go func() { _, _ = alice.SendText(ctx, made.RoomID, "expected") }()
	expected := func(ev homeserver.Event) bool { return bodyOf(ev.Content) == "expected" }
	ev, err := hs.Await(ctx, 0, expected)
	require.NoError(t, err)
	require.Equal(t, "@alice:localhost", ev.Sender)
	again, err := hs.Await(ctx, 0, expected)
	require.NoError(t, err)
	require.Equal(t, ev, again, "the past counts as well")
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	_, err = hs.Await(impatient, ev.Position, expected)
	require.ErrorIs(t, err, context.Canceled)
}
