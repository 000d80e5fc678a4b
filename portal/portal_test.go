package portal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
)

var (
	self    = network.Interop(network.WhatsApp, 12, "105012705411308")
	anna    = network.LID("90000000000001")
	notices = portal.Notices{
		Unsupported:   func(kind string) string { return "no " + kind },
		Undecryptable: "not yet",
	}
)

func received(content network.Content) network.Message {
	return network.Message{ID: network.MessageID{Conversation: anna, Sender: anna, ID: "3EB0AA"}, Content: content}
}

func TestKeysAndIDsRoundTrip(t *testing.T) {
	key := portal.Key(anna, self)
	conversation, err := portal.Conversation(key)
	require.NoError(t, err)
	require.Equal(t, anna, conversation)
	require.NotEqual(t, key, portal.Key(anna, network.Interop(network.WhatsApp, 13, self.User)), "logins do not share rooms")

	id := network.MessageID{Conversation: anna, Sender: self, ID: "3EB0/with/slashes"}
	parsed, err := portal.ParseMessageID(portal.MessageID(id))
	require.NoError(t, err)
	require.Equal(t, id, parsed)
}

func TestOtherContentToMatrix(t *testing.T) {
	converted, err := portal.ToMatrix(received(network.Unsupported{Type: "poll"}), notices)
	require.NoError(t, err)
	require.Equal(t, event.MsgNotice, converted.Parts[0].Content.MsgType)
	require.Equal(t, "no poll", converted.Parts[0].Content.Body)
	require.NotNil(t, converted.Parts[0].Content.Mentions)
	require.True(t, isPlaceholder(converted.Parts[0].DBMetadata), "a later version may know it")

	converted, err = portal.ToMatrix(received(network.Undecryptable{}), notices)
	require.NoError(t, err)
	require.Equal(t, "not yet", converted.Parts[0].Content.Body)
	require.True(t, isPlaceholder(converted.Parts[0].DBMetadata))

	_, err = portal.ToMatrix(received(nil), notices)
	require.Error(t, err)
}

func isPlaceholder(metadata any) bool {
	return portal.IsPlaceholder(&database.Message{Metadata: metadata})
}

func TestPlaceholderIsReplaced(t *testing.T) {
	row := &database.Message{Metadata: &portal.MessageMetadata{Placeholder: true}}
	converted, err := portal.ToMatrix(received(network.Text{Body: "*hi*"}), notices)
	require.NoError(t, err)
	edit := portal.ReplacePlaceholder(converted, []*database.Message{row})
	require.Len(t, edit.ModifiedParts, 1)
	require.Equal(t, "*hi*", edit.ModifiedParts[0].Content.Body)
	require.Same(t, row, edit.ModifiedParts[0].Part)
	require.False(t, portal.IsPlaceholder(row))
}

func TestReplies(t *testing.T) {
	own := network.MessageID{Conversation: anna, Sender: self, ID: "3EB0BB"}
	msg := received(network.Text{Body: "yes"})
	msg.ReplyTo = &own
	converted, err := portal.ToMatrix(msg, notices)
	require.NoError(t, err)
	require.Equal(t, portal.MessageID(own), converted.ReplyTo.MessageID)

	elsewhere := own
	elsewhere.Conversation = network.LID("90000000000002")
	msg.ReplyTo = &elsewhere
	converted, err = portal.ToMatrix(msg, notices)
	require.NoError(t, err)
	require.Nil(t, converted.ReplyTo, "a reply stays in its room")

	key := portal.Key(anna, self)
	require.Equal(t, &own, portal.ReplyTarget(&database.Message{ID: portal.MessageID(own), Room: key}, key))
	require.Nil(t, portal.ReplyTarget(&database.Message{ID: portal.MessageID(own), Room: portal.Key(elsewhere.Conversation, self)}, key))
	require.Nil(t, portal.ReplyTarget(&database.Message{ID: "notice", Room: key}, key))
	require.Nil(t, portal.ReplyTarget(nil, key))
}

func TestOtherTextFromMatrix(t *testing.T) {
	for name, c := range map[string]struct {
		content *event.MessageEventContent
		want    string
	}{
		"notice": {&event.MessageEventContent{MsgType: event.MsgNotice, Body: "hi"}, "hi"},
		"emote":  {&event.MessageEventContent{MsgType: event.MsgEmote, Body: "waves"}, "* waves"},
		"old reply": {&event.MessageEventContent{MsgType: event.MsgText, Body: "> <@a:b> old\n\nnew",
			RelatesTo: (&event.RelatesTo{}).SetReplyTo("$a")}, "new"},
		"a quote of one's own": {&event.MessageEventContent{MsgType: event.MsgText, Body: "> <@a:b> old\n\nnew"}, "> <@a:b> old\n\nnew"},
		"place": {&event.MessageEventContent{MsgType: event.MsgLocation, Body: "The pier", GeoURI: "geo:52.5,13.25;u=10"},
			"📍 The pier\nhttps://www.openstreetmap.org/?mlat=52.5&mlon=13.25#map=16/52.5/13.25"},
		"place without a name": {&event.MessageEventContent{MsgType: event.MsgLocation, Body: "Location geo:-1,2,3", GeoURI: "geo:-1,2,3"},
			"📍 https://www.openstreetmap.org/?mlat=-1&mlon=2#map=16/-1/2"},
	} {
		got, err := portal.FromMatrix(c.content)
		require.NoError(t, err, name)
		require.Equal(t, network.Text{Body: c.want}, got, name)
	}
}

func TestFromMatrixRefuses(t *testing.T) {
	for _, kind := range []event.MessageType{
		event.MsgImage, event.MsgVideo, event.MsgAudio, event.MsgFile, event.MsgLocation, event.CapMsgSticker, "org.example.unknown", "",
	} {
		_, err := portal.FromMatrix(&event.MessageEventContent{MsgType: kind, Body: "x"})
		require.ErrorIs(t, err, network.ErrUnsupported, kind)
	}
	_, err := portal.FromMatrix(&event.MessageEventContent{MsgType: event.MsgText, Body: " \n"})
	require.ErrorIs(t, err, network.ErrUnsupported)
}

func TestInfo(t *testing.T) {
	info := portal.Info(portal.Room{Conversation: anna, Topic: "topic"})
	require.Equal(t, database.RoomTypeDM, *info.Type)
	require.Equal(t, "topic", *info.Topic)
	require.Len(t, info.Members.MemberMap, 2)
	require.Nil(t, info.Name, "the ghost's name is the room's")

	levels := &event.PowerLevelsEventContent{}
	require.True(t, portal.Access(anna, true).PowerLevels.Apply("", levels))
	require.Positive(t, levels.EventsDefault)
	require.True(t, portal.Access(anna, false).PowerLevels.Apply("", levels))
	require.Zero(t, levels.EventsDefault)
}

func TestBridgeInfo(t *testing.T) {
	content := &event.BridgeEventContent{}
	portal.FillBridgeInfo(content, anna, false, "mxc://a/b")
	require.Equal(t, "WhatsApp", content.Protocol.DisplayName)
	require.Equal(t, "whatsapp", content.Protocol.ID)
	require.Equal(t, "megolm", portal.EncryptionContent(true).Raw["matrix"])
	require.Equal(t, "none", portal.EncryptionContent(false).Raw["matrix"])
}
