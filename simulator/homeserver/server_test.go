package homeserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
	"maunium.net/go/mautrix/synapseadmin"

	"causeway/simulator/homeserver"
)

func timeLimit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// user is a client of a freshly registered user.
func user(t testing.TB, hs *homeserver.Server, name string) *mautrix.Client {
	t.Helper()
	account := hs.Register(name, "secret")
	return clientOf(t, hs, account.UserID, account.Token)
}

func clientOf(t testing.TB, hs *homeserver.Server, userID, token string) *mautrix.Client {
	t.Helper()
	cli, err := mautrix.NewClient(hs.URL(), id.UserID(userID), token)
	require.NoError(t, err)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	cli.Client = &http.Client{Transport: transport}
	cli.DefaultHTTPRetries = 0
	return cli
}

func registration(url string) homeserver.Registration {
	reg := homeserver.Registration{
		ID: "bridge", URL: url, ASToken: "as", HSToken: "hs", SenderLocalpart: "bridgebot", ReceiveEphemeral: true,
	}
	reg.Namespaces.Users = []homeserver.Namespace{{Regex: `@net_.*:localhost`, Exclusive: true}}
	return reg
}

// ghost is a client of the application service acting as one of its users.
func ghost(t testing.TB, hs *homeserver.Server, name string) *mautrix.Client {
	t.Helper()
	cli := clientOf(t, hs, hs.UserID(name), "as")
	cli.SetAppServiceUserID = true
	_, err := cli.MakeRequest(context.Background(), http.MethodPost, cli.BuildClientURL("v3", "register"), &mautrix.ReqRegister[any]{
		Username: name, Type: mautrix.AuthTypeAppservice, InhibitLogin: true,
	}, nil)
	if name != "bridgebot" {
		require.NoError(t, err)
	}
	return cli
}

func text(t testing.TB, ctx context.Context, cli *mautrix.Client, room id.RoomID, body string) id.EventID {
	t.Helper()
	sent, err := cli.SendText(ctx, room, body)
	require.NoError(t, err)
	return sent.EventID
}

// bodies are the texts of a room's messages as the checker sees them.
func bodies(hs *homeserver.Server, room id.RoomID) []string {
	all := []string{}
	for _, ev := range hs.Timeline(room.String()) {
		if ev.Type == "m.room.message" {
			all = append(all, bodyOf(ev.Content))
		}
	}
	return all
}

func bodyOf(content json.RawMessage) string {
	var message struct{ Body string }
	_ = json.Unmarshal(content, &message)
	return message.Body
}

func TestAccounts(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t, homeserver.Appservice(registration("")))
	anyone := clientOf(t, hs, "", "")
	admin := &synapseadmin.Client{Client: anyone}

	made, err := admin.SharedSecretRegister(ctx, "test-only", synapseadmin.ReqSharedSecretRegister{Username: "alice", Password: "pw"})
	require.NoError(t, err)
	require.Equal(t, id.UserID("@alice:localhost"), made.UserID)
	_, err = admin.SharedSecretRegister(ctx, "guess", synapseadmin.ReqSharedSecretRegister{Username: "eve", Password: "pw"})
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = admin.SharedSecretRegister(ctx, "test-only", synapseadmin.ReqSharedSecretRegister{Username: "alice", Password: "pw"})
	require.ErrorIs(t, err, mautrix.MUserInUse)

	login := &mautrix.ReqLogin{
		Type: mautrix.AuthTypePassword, Password: "pw",
		Identifier: mautrix.UserIdentifier{Type: mautrix.IdentifierTypeUser, User: "alice"},
	}
	entered, err := anyone.Login(ctx, login)
	require.NoError(t, err)
	who, err := clientOf(t, hs, "", entered.AccessToken).Whoami(ctx)
	require.NoError(t, err)
	require.Equal(t, made.UserID, who.UserID)
	require.Equal(t, entered.DeviceID, who.DeviceID)
	login.Password = "wrong"
	_, err = anyone.Login(ctx, login)
	require.ErrorIs(t, err, mautrix.MForbidden)
	_, err = clientOf(t, hs, "", "nonsense").Whoami(ctx)
	require.ErrorIs(t, err, mautrix.MUnknownToken)

	versions, err := anyone.Versions(ctx)
	require.NoError(t, err)
	require.Equal(t, mautrix.SpecV112, versions.GetLatest())
	require.True(t, versions.Contains(mautrix.SpecV14))
}

func TestApplicationServiceActsAsItsUsersOnly(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t, homeserver.Appservice(registration("")))
	user(t, hs, "alice")
	bob := ghost(t, hs, "net_bob")
	who, err := bob.Whoami(ctx)
	require.NoError(t, err)
	require.Equal(t, id.UserID("@net_bob:localhost"), who.UserID)

	for _, stranger := range []string{"@alice:localhost", "@net_unregistered:localhost"} {
		cli := clientOf(t, hs, stranger, "as")
		cli.SetAppServiceUserID = true
		_, err = cli.Whoami(ctx)
		require.ErrorIs(t, err, mautrix.MForbidden, stranger)
	}
	_, err = bob.MakeRequest(ctx, http.MethodPost, bob.BuildClientURL("v3", "register"), &mautrix.ReqRegister[any]{
		Username: "mallory", Type: mautrix.AuthTypeAppservice, InhibitLogin: true,
	}, nil)
	require.ErrorIs(t, err, mautrix.MExclusive)
}

func TestUnknownEndpointsAreRecorded(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	_, err := user(t, hs, "alice").TurnServer(ctx)
	require.ErrorIs(t, err, mautrix.MUnrecognized)
	require.Equal(t, []string{"GET /_matrix/client/v3/voip/turnServer"}, hs.Unrecognized())
}

func TestListensOnLoopbackOnly(t *testing.T) {
	_, err := homeserver.New(homeserver.Listen("0.0.0.0:0"))
	require.ErrorContains(t, err, "loopback")
}

func TestMediaComesBackAsItWas(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t, homeserver.MediaLimit(1<<20))
	alice := user(t, hs, "alice")
	picture := []byte(strings.Repeat("picture", 1000))

	uploaded, err := alice.UploadBytesWithName(ctx, picture, "image/png", "a picture.png")
	require.NoError(t, err)
	back, err := alice.DownloadBytes(ctx, uploaded.ContentURI)
	require.NoError(t, err)
	require.Equal(t, picture, back)
	require.Equal(t, picture, hs.Media(uploaded.ContentURI.String()))

	_, err = alice.UploadBytes(ctx, make([]byte, 1<<20+1), "image/png")
	require.ErrorIs(t, err, mautrix.MTooLarge)

	promised, err := alice.CreateMXC(ctx)
	require.NoError(t, err)
	_, err = alice.DownloadBytes(ctx, promised.ContentURI)
	require.ErrorContains(t, err, "M_NOT_YET_UPLOADED")
	put := mautrix.ReqUploadMedia{MXC: promised.ContentURI, ContentBytes: picture}
	_, err = alice.UploadMedia(ctx, put)
	require.NoError(t, err)
	_, err = alice.UploadMedia(ctx, put)
	require.ErrorContains(t, err, "M_CANNOT_OVERWRITE_MEDIA")
	back, err = alice.DownloadBytes(ctx, promised.ContentURI)
	require.NoError(t, err)
	require.Equal(t, picture, back)
}

func TestAccountDataAndTags(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	var direct map[string][]string
	require.ErrorIs(t, alice.GetAccountData(ctx, "m.direct", &direct), mautrix.MNotFound)
	require.NoError(t, alice.SetAccountData(ctx, "m.direct", map[string][]string{"@bob:localhost": {"!a"}}))
	require.NoError(t, alice.GetAccountData(ctx, "m.direct", &direct))
	require.Equal(t, map[string][]string{"@bob:localhost": {"!a"}}, direct)

	require.NoError(t, alice.AddTag(ctx, "!a", event.RoomTagFavourite, 0.5))
	tags, err := alice.GetTags(ctx, "!a")
	require.NoError(t, err)
	require.Contains(t, tags.Tags, event.RoomTagFavourite)
	require.NoError(t, alice.RemoveTag(ctx, "!a", event.RoomTagFavourite))
	tags, err = alice.GetTags(ctx, "!a")
	require.NoError(t, err)
	require.Empty(t, tags.Tags)
}
