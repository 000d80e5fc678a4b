package portal_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
)

// chatKind is a kind of chat with what clients are told of it, and how it is converted.
type chatKind struct {
	features *event.RoomFeatures
	can      portal.Abilities
	file     func(*event.MessageEventContent, portal.Found, portal.Abilities, bool) (portal.File, error)
	message  func(*event.MessageEventContent) (network.Message, error)
}

func chatKinds() map[string]chatKind {
	kinds := map[string]chatKind{}
	for _, n := range []network.Network{network.WhatsApp, network.Messenger} {
		can := portal.AbilitiesOf(n)
		kinds[string(n)+", third-party"] = chatKind{portal.Features(can, can.Reactions), can, portal.FileFromMatrix,
			func(content *event.MessageEventContent) (msg network.Message, err error) {
				msg.Content, err = portal.FromMatrix(content)
				return msg, err
			}}
	}
	for _, group := range []bool{false, true} {
		var who portal.Pills
		if group {
			who = func(id.UserID) (network.Address, bool) { return anna, true }
		}
		kinds[fmt.Sprintf("linked, group: %t", group)] = chatKind{portal.LinkedFeatures(group), portal.LinkedAbilities(), portal.LinkedFile,
			func(content *event.MessageEventContent) (network.Message, error) {
				return portal.LinkedFromMatrix(content, who)
			}}
	}
	return kinds
}

// What clients are told of a chat is what becomes of what users send there.
func TestCapabilitiesSayWhatConversionDoes(t *testing.T) {
	for name, chat := range chatKinds() {
		t.Run(name, func(t *testing.T) {
			for kind, claim := range chat.features.File {
				t.Run(string(kind), func(t *testing.T) { chat.holdsFile(t, kind, claim) })
			}
			chat.holdsFormatting(t)
			chat.holdsPlaces(t)
			chat.holdsPolls(t)
			require.Equal(t, chat.can.Edits, chat.features.Edit.Full())
			require.Equal(t, chat.can.Removals, chat.features.Delete.Full())
			require.Equal(t, chat.can.Reactions, chat.features.Reaction.Full(), "where not all know them they are asked first")
			require.Equal(t, portal.MaxTextLength, chat.features.MaxTextLength)
		})
	}
	linked := portal.LinkedFeatures(true)
	require.Equal(t, portal.EditWindow, linked.EditMaxAge.Duration)
	require.Equal(t, portal.RemoveWindow, linked.DeleteMaxAge.Duration)
	require.Len(t, linked.DisappearingTimer.Timers, len(portal.Timers()))
	require.Nil(t, portal.LinkedFeatures(false).MemberActions)
}

// content is what a client sends for a kind of file.
func (chatKind) content(kind event.MessageType, change ...func(*event.MessageEventContent)) *event.MessageEventContent {
	switch kind {
	case event.CapMsgVoice:
		return file(event.MsgAudio, append(change, spoken)...)
	case event.CapMsgGIF:
		return file(event.MsgVideo, append(change, looping)...)
	}
	return file(kind, change...)
}

func (c chatKind) holdsFile(t *testing.T, kind event.MessageType, claim *event.FileFeatures) {
	want := map[event.MessageType]network.MediaKind{
		event.MsgImage: network.Image, event.MsgVideo: network.Video, event.MsgAudio: network.Audio, event.MsgFile: network.Document,
		event.CapMsgVoice: network.Voice, event.CapMsgGIF: network.GIF, event.CapMsgSticker: network.Sticker,
	}[kind]
	captioned := func(length int) func(*event.MessageEventContent) {
		return func(content *event.MessageEventContent) {
			content.FileName, content.Body = "a file", strings.Repeat("c", length)
		}
	}
	for mime, level := range claim.MimeTypes {
		if mime == "*/*" {
			mime = "application/x-unheard-of"
		}
		got, err := c.file(c.content(kind, captioned(1)), portal.Found{MIME: mime, Size: 1}, c.can, false)
		require.NoError(t, err, mime)
		got = got.For(c.can)
		if level.Full() {
			require.Equal(t, portal.Pass, got.Plan, mime)
			require.Equal(t, want, got.Media.Kind, mime)
			switch {
			case claim.Caption.Full():
				require.Equal(t, "c", got.Media.Caption, mime)
			case claim.Caption.Partial():
				require.Equal(t, "c", got.Apart, mime)
			default:
				require.Empty(t, got.Media.Caption+got.Apart, mime)
			}
		} else {
			require.True(t, want == network.Document || got.Media.Kind != want, "%s is more than claimed", mime)
		}
	}
	_, err := c.file(c.content(kind), portal.Found{MIME: "application/x-unheard-of", Size: claim.MaxSize}, c.can, false)
	require.NoError(t, err)
	_, err = c.file(c.content(kind), portal.Found{MIME: "application/x-unheard-of", Size: claim.MaxSize + 1}, c.can, false)
	require.ErrorIs(t, err, network.ErrTooLarge)
	if claim.MaxCaptionLength > 0 {
		_, err = c.file(c.content(kind, captioned(claim.MaxCaptionLength)), portal.Found{MIME: "video/mp4", Size: 1}, c.can, false)
		require.NoError(t, err)
		_, err = c.file(c.content(kind, captioned(claim.MaxCaptionLength+1)), portal.Found{MIME: "video/mp4", Size: 1}, c.can, false)
		require.ErrorIs(t, err, network.ErrTooLarge)
	}
}

func (c chatKind) holdsFormatting(t *testing.T) {
	for feature, sample := range map[event.FormattingFeature][2]string{
		event.FmtBold:          {"<b>x</b>", "*x*"},
		event.FmtItalic:        {"<i>x</i>", "_x_"},
		event.FmtStrikethrough: {"<del>x</del>", "~x~"},
		event.FmtInlineCode:    {"<code>x</code>", "`x`"},
		event.FmtCodeBlock:     {"<pre><code>x</code></pre>", "```x```"},
		event.FmtBlockquote:    {"<blockquote>x</blockquote>", "> x"},
		event.FmtUnorderedList: {"<ul><li>x</li></ul>", " x"},
		event.FmtOrderedList:   {"<ol><li>x</li></ol>", "1. x"},
		event.FmtInlineLink:    {`<a href="https://a.eu">x</a>`, "x (https://a.eu)"},
		event.FmtHeaders:       {"<h1>x</h1>", "*x*"},
		event.FmtUserLink:      {`<a href="https://matrix.to/#/@x:hs">x</a>`, "x"},
	} {
		level := c.features.Formatting[feature]
		msg, err := c.message(&event.MessageEventContent{MsgType: event.MsgText, Body: "x", Format: event.FormatHTML, FormattedBody: sample[0]})
		require.NoError(t, err, feature)
		text := msg.Content.(network.Text).Body
		if feature != event.FmtUserLink {
			require.True(t, level.Partial(), feature)
			require.Contains(t, text, sample[1], feature)
			continue
		}
		require.Equal(t, level.Full(), len(msg.Mentions) == 1, "somebody is called")
		if !level.Full() {
			require.Contains(t, text, sample[1])
		}
	}
	msg, err := c.message(&event.MessageEventContent{MsgType: event.MsgText, Body: "@room x", Mentions: &event.Mentions{Room: true}})
	require.NoError(t, err)
	require.Equal(t, c.features.Formatting[event.FmtAtRoomMention].Full(), msg.MentionsAll)
}

func (c chatKind) holdsPlaces(t *testing.T) {
	msg, err := c.message(&event.MessageEventContent{MsgType: event.MsgLocation, Body: "The pier", GeoURI: "geo:52.5,13.25"})
	require.NoError(t, err)
	_, place := msg.Content.(network.Location)
	require.Equal(t, c.features.LocationMessage.Full(), place)
	require.True(t, c.features.LocationMessage.Partial())
}

func (c chatKind) holdsPolls(t *testing.T) {
	poll := func(options int) *event.PollStartEventContent {
		answers := make([]string, options)
		for i := range options {
			answers[i] = fmt.Sprintf(`{"id":"%d","org.matrix.msc1767.text":"option %d"}`, i, i)
		}
		content := &event.PollStartEventContent{}
		require.NoError(t, json.Unmarshal([]byte(`{"org.matrix.msc3381.poll.start":{"question":{"org.matrix.msc1767.text":"?"},"answers":[`+
			strings.Join(answers, ",")+`]}}`), content))
		return content
	}
	ask := func(options int) error {
		if c.features.Poll.Full() {
			_, _, err := portal.PollFromMatrix(poll(options))
			return err
		}
		_, err := portal.PollText(poll(options), "")
		return err
	}
	require.True(t, c.features.Poll.Partial())
	require.NoError(t, ask(c.features.PollMaxOptions))
	require.ErrorIs(t, ask(c.features.PollMaxOptions+1), network.ErrUnsupported)
}
