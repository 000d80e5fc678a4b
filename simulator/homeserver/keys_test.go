package homeserver_test

import (
	"context"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/crypto/cryptohelper"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/simulator/homeserver"
)

// encrypting is a client of a user that encrypts and follows /sync.
func encrypting(t *testing.T, ctx context.Context, hs *homeserver.Server, name string, heard chan<- string) *mautrix.Client {
	account := hs.Register(name, "secret")
	cli := clientOf(t, hs, account.UserID, account.Token)
	cli.DeviceID = id.DeviceID(account.DeviceID)
	helper, err := cryptohelper.NewCryptoHelper(cli, []byte("pickle"), filepath.Join(t.TempDir(), "crypto.db"))
	require.NoError(t, err)
	require.NoError(t, helper.Init(ctx))
	cli.Crypto = helper
	syncer := cli.Syncer.(*mautrix.DefaultSyncer)
	syncer.OnEventType(event.EventMessage, func(_ context.Context, ev *event.Event) {
		if ev.Sender != cli.UserID {
			heard <- ev.Content.AsMessage().Body
		}
	})
	syncing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cli.SyncWithContext(syncing)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		require.NoError(t, helper.Close())
	})
	return cli
}

func TestEncryptedConversation(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	heard := make(chan string, 10)
	alice, bob := encrypting(t, ctx, hs, "alice", heard), encrypting(t, ctx, hs, "bob", heard)
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "public_chat", InitialState: []*event.Event{{
		Type: event.StateEncryption, Content: event.Content{Parsed: &event.EncryptionEventContent{Algorithm: id.AlgorithmMegolmV1}},
	}}})
	require.NoError(t, err)
	_, err = bob.JoinRoomByID(ctx, made.RoomID)
	require.NoError(t, err)
	for _, cli := range []*mautrix.Client{alice, bob} {
		_, err = cli.State(ctx, made.RoomID)
		require.NoError(t, err)
	}
	for _, say := range []struct {
		from *mautrix.Client
		text string
	}{{alice, "a secret"}, {bob, "another"}} {
		_, err = say.from.SendText(ctx, made.RoomID, say.text)
		require.NoError(t, err)
		select {
		case text := <-heard:
			require.Equal(t, say.text, text)
		case <-ctx.Done():
			t.Fatalf("%q was not heard", say.text)
		}
	}
	require.Empty(t, bodies(hs, made.RoomID), "the server saw no text")
	require.Empty(t, hs.Unrecognized())
}
