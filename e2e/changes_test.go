package e2e

import (
	"bytes"
	"image"
	"image/jpeg"
	"strings"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// Reactions come, change and go on both sides; they are sent to those who have shown that they know them.
func reactions(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	said := room.Says("shall we meet?")
	heard := anna.HearsText(alice, "shall we meet?")
	anna.Says(alice, "yes, at noon")
	noon := room.WaitForMessage(anna, "yes, at noon")

	if !w.side.can.Reactions {
		room.reacts(noon.ID, "👍")
		room.WaitForNotice("not sent in this chat", "CW-1305")
	}

	for _, emoji := range []string{"👍", "❤️"} {
		_, err := anna.React(heard, emoji)
		require.NoError(w.t, err)
		room.waitFor("the reaction "+emoji, func() bool { return room.stands(anna, said, emoji) && len(room.of(anna)) == 1 })
	}
	_, err := anna.React(heard, "")
	require.NoError(w.t, err)
	room.waitFor("no reaction", func() bool { return len(room.of(anna)) == 0 })

	own := room.reacts(noon.ID, "🎉")
	require.Equal(w.t, "🎉", anna.hearsReaction().Emoji)
	changed := room.reacts(noon.ID, "😂")
	require.Equal(w.t, "😂", anna.hearsReaction().Emoji)
	room.waitFor("the first reaction to go", func() bool { _, there := room.Reactions()[own]; return !there })
	_, err = alice.client.Matrix.RedactEvent(w.soon(), room.ID, changed)
	require.NoError(w.t, err)
	reaction := anna.hearsReaction()
	require.Empty(w.t, reaction.Emoji)
	require.NotEmpty(w.t, reaction.TargetID)
}

func (r *room) reacts(to id.EventID, emoji string) id.EventID {
	return r.sends(event.EventReaction, &event.ReactionEventContent{
		RelatesTo: event.RelatesTo{Type: event.RelAnnotation, EventID: to, Key: emoji},
	})
}

// of are the reactions of a person.
func (r *room) of(p *person) []client.Reaction {
	var own []client.Reaction
	for _, reaction := range r.Reactions() {
		if p.is(reaction.Sender) {
			own = append(own, reaction)
		}
	}
	return own
}

func (r *room) stands(p *person, on id.EventID, emoji string) bool {
	for _, reaction := range r.of(p) {
		if reaction.On == on && strings.TrimSuffix(reaction.Key, "\ufe0f") == strings.TrimSuffix(emoji, "\ufe0f") {
			return true
		}
	}
	return false
}

func (p *person) hearsReaction() *meta.HeardReaction {
	p.world.t.Helper()
	heard := p.hearsNext()
	require.NotNil(p.world.t, heard.Reaction, "%s heard %s %q", p.name, heard.Kind, heard.Text)
	return heard.Reaction
}

// correctionIsOne: in the room a correction is one with the message that it corrects.
func correctionIsOne(w *world, room *room, anna *person, correction meta.Heard, said id.EventID) {
	_, err := anna.Reply(correction, "noon is fine")
	require.NoError(w.t, err)
	require.Equal(w.t, said, room.WaitForMessage(anna, "noon is fine").Content.RelatesTo.GetReplyTo())
	_, err = anna.React(correction, "👍")
	require.NoError(w.t, err)
	room.waitFor("the reaction at the message that was edited", func() bool { return room.stands(anna, said, "👍") })
}

// changesFromMatrix: edits and removals arrive as such, or as words.
func changesFromMatrix(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	said := room.Says("at noom")
	original := anna.HearsText(alice, "at noom")
	edit := &event.MessageEventContent{MsgType: event.MsgText, Body: "at noon"}
	edit.SetEdit(said)
	room.sends(event.EventMessage, edit)
	if w.side.can.Edits {
		require.Equal(w.t, original.ID, anna.HearsText(alice, "at noon").Edited)
	} else {
		correction := anna.HearsText(alice, "✏️ Correction: at noon")
		require.Equal(w.t, original.ID, correction.ReplyTo)
		correctionIsOne(w, room, anna, correction, said)
	}
	photo := pngBytes(w.t, 5)
	picture := room.SendsFile(photo, "image/png", event.MessageEventContent{MsgType: event.MsgImage, Body: "the sae", FileName: "sea.png"})
	anna.hearsFile(meta.Image, photo)
	caption := &event.MessageEventContent{MsgType: event.MsgImage, Body: "the sea", FileName: "sea.png"}
	caption.SetEdit(picture)
	room.sends(event.EventMessage, caption)
	anna.HearsText(alice, "✏️ Correction: the sea") // no third-party chat knows the edit of a caption

	paper := []byte("%PDF-1.7\nwords")
	document := room.SendsFile(paper, "application/pdf", event.MessageEventContent{MsgType: event.MsgFile, Body: "our offer", FileName: "offer.pdf"})
	var parts []string
	if !w.side.can.Captions {
		parts = append(parts, anna.HearsText(alice, "our offer").ID)
	}
	anna.hearsFile(meta.Document, paper)
	parts = append(parts, anna.last().ID)
	for _, gone := range []id.EventID{said, document} {
		_, err := alice.client.Matrix.RedactEvent(w.soon(), room.ID, gone)
		require.NoError(w.t, err)
	}
	if !w.side.can.Removals {
		room.WaitForNotice("keeps their copy")
		room.Says("did it go?")
		anna.HearsText(alice, "did it go?") // and no sign of a removal before
		return
	}
	require.Equal(w.t, original.ID, anna.hearsNext().Removed)
	var removed []string
	for range parts {
		removed = append(removed, anna.hearsNext().Removed)
	}
	require.ElementsMatch(w.t, parts, removed, "a document goes with its text")
}

// changesFromThePhone: what somebody edits is edited in the room, and what they take back is gone there.
func changesFromThePhone(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	said := anna.Says(alice, "at noom")
	room := alice.WaitForRoom(anna)
	line := room.WaitForMessage(anna, "at noom")
	_, err := anna.Edit(alice.jid, said, "at noon")
	if !w.side.can.Edits {
		require.Error(w.t, err, "the network has no edits")
		_, err = anna.Unsend(alice.jid, said)
		require.Error(w.t, err, "and no unsending")
		return
	}
	require.NoError(w.t, err)
	edit := room.WaitForMessage(anna, "* at noon")
	require.Equal(w.t, line.ID, edit.Content.RelatesTo.GetReplaceID())
	require.Equal(w.t, "at noon", edit.Content.NewContent.Body)
	_, err = anna.Edit(alice.jid, said, "at *one*")
	require.NoError(w.t, err)
	require.Equal(w.t, "at <strong>one</strong>", room.WaitForMessage(anna, "* at *one*").Content.NewContent.FormattedBody)

	_, err = anna.Unsend(alice.jid, said)
	require.NoError(w.t, err)
	room.waitFor("the message to be gone", func() bool { return room.Redacted(line.ID) })
	file, err := anna.SendMedia(alice.jid, meta.Media{Kind: meta.Image, Bytes: jpegBytes(w.t, 3), Caption: "wrong picture"})
	require.NoError(w.t, err)
	shown, _ := room.WaitForFile(anna, "wrong picture")
	_, err = anna.Unsend(alice.jid, file)
	require.NoError(w.t, err)
	room.waitFor("the picture to be gone", func() bool { return room.Redacted(shown.ID) })
	anna.Says(alice, "sorry")
	room.WaitForMessage(anna, "sorry")
}

// fallbacks: what third-party chats do not know arrives in another form, or the room says why not.
func fallbacks(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgLocation, Body: "The pier", GeoURI: "geo:52.5,13.25"})
	anna.HearsText(alice, "📍 The pier\nhttps://www.openstreetmap.org/?mlat=52.5&mlon=13.25#map=16/52.5/13.25")

	poll := room.sends(event.EventUnstablePollStart, map[string]any{"org.matrix.msc3381.poll.start": map[string]any{
		"kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
		"question": map[string]any{"org.matrix.msc1767.text": "When?"},
		"answers": []any{
			map[string]any{"id": "a", "org.matrix.msc1767.text": "Monday"},
			map[string]any{"id": "b", "org.matrix.msc1767.text": "Tuesday"},
		},
	}})
	anna.HearsText(alice, "📊 *When?*\n1. Monday\n2. Tuesday\n(Answer with the number of your choice.)")
	room.sends(event.EventUnstablePollResponse, map[string]any{
		"m.relates_to":                     map[string]any{"rel_type": "m.reference", "event_id": poll},
		"org.matrix.msc3381.poll.response": map[string]any{"answers": []string{"a"}},
	})
	room.WaitForNotice("Votes are not sent", "CW-1310")

	room.sends(event.EventMessage, map[string]any{"msgtype": "org.example.hologram", "body": "a hologram"})
	room.WaitForNotice("cannot carry this", "CW-1301")
}

// A link's preview goes along in both directions.
func linkPreviews(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	const link = "https://example.eu/boats"
	_, err := anna.SendPreview(alice.jid, "look: "+link, meta.Preview{Matched: link, URL: link, Title: "Boats", Description: "All of them"})
	require.NoError(w.t, err)
	line := room.WaitForMessage(anna, "look: "+link)
	require.Len(w.t, line.Content.BeeperLinkPreviews, 1)
	require.Equal(w.t, "Boats", line.Content.BeeperLinkPreviews[0].Title)
	require.Contains(w.t, line.Content.FormattedBody, "All of them")

	uploaded, err := alice.client.Matrix.UploadBytes(w.soon(), pngBytes(w.t, 7), "image/png")
	require.NoError(w.t, err)
	for text, picture := range map[string]id.ContentURIString{
		"and " + link: uploaded.ContentURI.CUString(), "none of them: " + link: "mxc://localhost/nothingthere", "another place: " + link: link,
	} {
		room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: text, BeeperLinkPreviews: []*event.BeeperLinkPreview{
			{MatchedURL: link, LinkPreview: event.LinkPreview{CanonicalURL: link, Title: "Boats", ImageURL: picture}},
		}})
		heard := anna.HearsText(alice, text)
		require.NotNil(w.t, heard.Preview)
		require.Equal(w.t, "Boats", heard.Preview.Title)
		if w.side.can.PreviewPictures && picture == uploaded.ContentURI.CUString() {
			shown, err := jpeg.Decode(bytes.NewReader(heard.Preview.Thumbnail))
			require.NoError(w.t, err)
			require.Equal(w.t, image.Pt(48, 32), shown.Bounds().Size())
		} else {
			require.Empty(w.t, heard.Preview.Thumbnail)
		}
	}
}
