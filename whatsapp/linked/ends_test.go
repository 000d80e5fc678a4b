package linked

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/simulator/meta"
)

func mustJID(t *testing.T, address network.Address) types.JID {
	t.Helper()
	jid, err := jidOf(address)
	require.NoError(t, err)
	return jid
}

func mustLink(t *testing.T, d *device) *link {
	t.Helper()
	l, err := d.current()
	require.NoError(t, err)
	return l
}

func keyFor(id string) *waCommon.MessageKey {
	return &waCommon.MessageKey{FromMe: proto.Bool(true), ID: proto.String(id)}
}

// hearsImage is an image as Bob's phone has it after we sent it: with a file that the network has.
func (d *device) hearsImage(t *testing.T, bob *meta.Person) *waE2E.ImageMessage {
	t.Helper()
	id := d.say(addressOf(t, bob), network.Media{Kind: network.Image, MIME: "image/jpeg", Open: fileOf("large")})
	image := heard(t, bob, id).Message.GetImageMessage()
	require.NotNil(t, image)
	return image
}

// settle waits until the device has had all that the phone tells a new one, and has fetched what the account's devices share:
// the library races with itself where a connection ends while several of its own questions are under way.
func (d *device) settle() {
	d.t.Helper()
	await(d.told, "the whole past", func(e network.HistoryEvent) bool { return e.Progress == 100 })
	require.Eventually(d.t, func() bool { return d.owner.LinkedDevices()[0].Waiting == 0 }, patience, 10*time.Millisecond)
	require.Eventually(d.t, func() bool {
		parts := 0
		err := d.db.QueryRow(d.t.Context(), "SELECT COUNT(*) FROM whatsmeow_app_state_version").Scan(&parts)
		return err == nil && parts >= len(appstate.AllPatchNames)
	}, patience, 10*time.Millisecond)
}
