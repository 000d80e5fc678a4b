package linked

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"causeway/network"
	"causeway/simulator/meta"
)

// chatFor is a chat of a device with Bob, direct or in a group, and what both sides call it.
type chatFor struct {
	name         string
	anna         *device
	bob          *meta.Person
	conversation network.Address
	// to is what Bob writes to.
	to string
}

func eachChat(t *testing.T, test func(t *testing.T, c chatFor)) {
	t.Run("direct", func(t *testing.T) {
		anna, bob := newDevice(t, "Anna"), person("Bob")
		test(t, chatFor{"direct", anna, bob, addressOf(t, bob), anna.owner.LID()})
	})
	t.Run("group", func(t *testing.T) {
		anna, bob := newDevice(t, "Anna"), person("Bob")
		group, err := bob.CreateGroup("Friends", anna.owner.LID())
		require.NoError(t, err)
		joined := await(anna.told, "the group", func(e network.GroupEvent) bool { return e.Change.Whole != nil })
		test(t, chatFor{"group", anna, bob, joined.Group, group})
	})
}

func (c chatFor) theirs(t *testing.T, id string) network.MessageID {
	return network.MessageID{Conversation: c.conversation, Sender: addressOf(t, c.bob), ID: id}
}

func (c chatFor) ours(id string) network.MessageID {
	return network.MessageID{Conversation: c.conversation, Sender: c.anna.Self(), ID: id}
}

func sum(text string) []byte {
	hash := sha256.Sum256([]byte(text))
	return hash[:]
}

// What Bob's phone sends arrives as what it is.
func TestKindsIn(t *testing.T) {
	eachChat(t, func(t *testing.T, c chatFor) {
		must := func(id string, err error) network.Message {
			t.Helper()
			require.NoError(t, err)
			got := c.anna.hears(id)
			require.Equal(t, c.theirs(t, id), got.Message.ID)
			return got.Message
		}
		text := must(c.bob.Say(c.to, "text"))
		require.Equal(t, network.Text{Body: "text"}, text.Content)
		preview := must(c.bob.SendPreview(c.to, "see https://a.example", meta.Preview{Matched: "https://a.example", Title: "A", Description: "B"}))
		require.Equal(t, network.Text{Body: "see https://a.example", Preview: &network.LinkPreview{
			URL: "https://a.example", Matched: "https://a.example", Title: "A", Description: "B",
		}}, preview.Content)

		edit := must(c.bob.Edit(c.to, text.ID.ID, "better"))
		require.Equal(t, network.Edit{Target: text.ID, Content: network.Text{Body: "better"}}, edit.Content)
		reaction := must(c.bob.ReactToOwn(c.to, text.ID.ID, "👍"))
		require.Equal(t, network.Reaction{Target: text.ID, Emoji: "👍"}, reaction.Content)
		require.Equal(t, network.Remove{Target: text.ID}, must(c.bob.Unsend(c.to, text.ID.ID)).Content)

		mentioned := must(c.bob.Mention(c.to, "hey @"+digitsOf(c.anna.owner.LID()), c.anna.owner.LID()))
		require.Equal(t, []network.Address{c.anna.Self()}, mentioned.Mentions)
		require.Contains(t, mentioned.Content.(network.Text).Body, "@"+c.anna.Self().User)

		require.Equal(t, network.Location{Latitude: 1.5, Longitude: -2.25, Name: "Here"}, must(c.bob.SendLocation(c.to, 1.5, -2.25, "Here")).Content)
		live := must(c.bob.SendLiveLocation(c.to, 1.5, 2.5, "moving")).Content.(network.Location)
		require.True(t, live.Live)
		require.Equal(t, "moving", live.Caption)
		contacts := must(c.bob.SendContacts(c.to, meta.Card{Name: "X", Phone: "+4930111"}, meta.Card{Name: "Y", Phone: "+4930112"})).Content.(network.Contacts)
		require.Len(t, contacts.Cards, 2)
		require.Equal(t, "Y", contacts.Cards[1].Name)
		require.Contains(t, contacts.Cards[1].VCard, "+4930112")
		require.Len(t, must(c.bob.SendContacts(c.to, meta.Card{Name: "X", Phone: "+4930111"})).Content.(network.Contacts).Cards, 1)

		event := must(c.bob.SendEvent(c.to, "Party", time.Now())).Content.(network.Unsupported)
		require.Equal(t, "event", event.Type)
		require.Contains(t, event.Text, "Party")
		require.Equal(t, onPhone, event.See)
		require.NotEmpty(t, event.Payload)
		require.Equal(t, unknownKind, must(c.bob.SendUnknown(c.to)).Content.(network.Unsupported).Type)

		heard := c.anna.say(c.conversation, network.Text{Body: "pass it on"})
		h := hears(t, c.bob, heard)
		forwarded := must(c.bob.Forward(c.to, h))
		require.True(t, forwarded.Forwarded)
		require.Equal(t, network.Text{Body: "pass it on"}, forwarded.Content)
		reply := must(c.bob.Reply(h, "an answer"))
		require.Equal(t, c.ours(heard), *reply.ReplyTo)
		reaction = must(c.bob.React(h, "🎉"))
		require.Equal(t, network.Reaction{Target: c.ours(heard), Emoji: "🎉"}, reaction.Content)
		require.Empty(t, must(c.bob.React(h, "")).Content.(network.Reaction).Emoji)
	})
}

var hears = heard

func digitsOf(jid string) string {
	digits, _, _ := strings.Cut(jid, "@")
	return digits
}

func TestPolls(t *testing.T) {
	eachChat(t, func(t *testing.T, c chatFor) {
		id, err := c.bob.SendPoll(c.to, "Where?", 1, "here", "there", "nowhere")
		require.NoError(t, err)
		require.Equal(t, network.Poll{Question: "Where?", Options: []string{"here", "there", "nowhere"}, Choices: 1}, c.anna.hears(id).Message.Content)
		vote := c.anna.say(c.conversation, network.Vote{Poll: c.theirs(t, id), Options: [][]byte{sum("there")}})
		h := hears(t, c.bob, vote)
		require.Equal(t, &meta.HeardVote{PollID: id, Options: []string{"there"}}, h.Vote)

		poll := network.Poll{Question: "When?", Options: []string{"now", "then", "never"}}
		msg := c.anna.message(c.conversation, poll)
		_, err = c.anna.Send(within(t), msg)
		require.NoError(t, err)
		h = hears(t, c.bob, msg.ID.ID)
		require.Equal(t, "When?", h.Text)
		secret := h.Message.GetMessageContextInfo().GetMessageSecret()
		require.Len(t, secret, secretSize)
		again, err := writer{chat: mustJID(t, c.conversation), link: mustLink(t, c.anna)}.message(t.Context(), msg)
		require.NoError(t, err)
		require.Equal(t, secret, again.GetMessageContextInfo().GetMessageSecret(), "the same poll has the same secret")

		id, err = c.bob.Vote(c.to, msg.ID.ID, "now", "never")
		require.NoError(t, err)
		require.Equal(t, network.Vote{Poll: msg.ID, Options: [][]byte{sum("now"), sum("never")}}, c.anna.hears(id).Message.Content)
		id, err = c.bob.Vote(c.to, msg.ID.ID)
		require.NoError(t, err)
		require.Empty(t, c.anna.hears(id).Message.Content.(network.Vote).Options)
		// one's own vote on the phone
		require.Eventually(t, func() bool {
			id, err = c.anna.owner.Vote(c.phoneTo(), msg.ID.ID, "then")
			return err == nil
		}, patience, 20*time.Millisecond)
		own := c.anna.hears(id)
		require.Equal(t, c.anna.Self(), own.Message.ID.Sender)
		require.Equal(t, network.Vote{Poll: msg.ID, Options: [][]byte{sum("then")}}, own.Message.Content)
	})
}

// phoneTo is what the owner's phone writes to.
func (c chatFor) phoneTo() string {
	if c.name == "group" {
		return c.to
	}
	return c.bob.LID()
}

// What we send arrives at Bob's phone as what it is.
func TestKindsOut(t *testing.T) {
	eachChat(t, func(t *testing.T, c chatFor) {
		id, err := c.bob.Say(c.to, "hello")
		require.NoError(t, err)
		theirs := c.anna.hears(id).Message.ID

		text := c.anna.say(c.conversation, network.Text{Body: "look: https://a.example", Preview: &network.LinkPreview{
			URL: "https://a.example", Matched: "https://a.example", Title: "A", Description: "B",
		}}, func(m *network.Message) {
			m.ReplyTo, m.Quote, m.Forwarded, m.Expires = &theirs, "hello", true, 24*time.Hour
		})
		h := hears(t, c.bob, text)
		require.Equal(t, "look: https://a.example", h.Text)
		require.Equal(t, id, h.ReplyTo)
		require.True(t, h.Forwarded)
		require.EqualValues(t, 86400, h.Message.GetExtendedTextMessage().GetContextInfo().GetExpiration())
		require.Equal(t, "A", h.Preview.Title)

		edit := hears(t, c.bob, c.anna.say(c.conversation, network.Edit{Target: c.ours(text), Content: network.Text{Body: "better"}}))
		require.Equal(t, text, edit.Edited)
		require.Equal(t, "better", edit.Text)
		reaction := hears(t, c.bob, c.anna.say(c.conversation, network.Reaction{Target: theirs, Emoji: "👍"}))
		require.Equal(t, &meta.HeardReaction{TargetID: id, FromMe: false, Emoji: "👍"}, reaction.Reaction)
		removed := hears(t, c.bob, c.anna.say(c.conversation, network.Remove{Target: c.ours(text), Sent: time.Now()}))
		require.Equal(t, text, removed.Removed)

		bob := addressOf(t, c.bob)
		mention := hears(t, c.bob, c.anna.say(c.conversation, network.Text{Body: "hey @" + bob.User},
			func(m *network.Message) { m.Mentions = []network.Address{bob} }))
		require.Len(t, mention.Mentions, 1)
		require.Contains(t, mention.Text, "@"+digitsOf(mention.Mentions[0]))
		all := hears(t, c.bob, c.anna.say(c.conversation, network.Text{Body: "@all"}, func(m *network.Message) { m.MentionsAll = true }))
		require.EqualValues(t, 1, all.Message.GetExtendedTextMessage().GetContextInfo().GetNonJIDMentions())

		place := hears(t, c.bob, c.anna.say(c.conversation, network.Location{Latitude: 1.5, Longitude: 2.5, Name: "Here"}))
		require.InDelta(t, 1.5, place.Message.GetLocationMessage().GetDegreesLatitude(), 0)
		cards := network.Contacts{Cards: []network.Card{{Name: "X", VCard: "BEGIN:VCARD"}, {Name: "Y", VCard: "BEGIN:VCARD"}}}
		require.Len(t, hears(t, c.bob, c.anna.say(c.conversation, cards)).Message.GetContactsArrayMessage().GetContacts(), 2)

		require.ErrorIs(t, c.anna.trySend(c.conversation, network.Edit{
			Target: c.ours(text), Sent: time.Now().Add(-time.Hour), Content: network.Text{Body: "late"},
		}), network.ErrTooLate)
		require.ErrorIs(t, c.anna.trySend(c.conversation, network.Remove{Target: c.ours(text), Sent: time.Now().Add(-100 * time.Hour)}), network.ErrTooLate)
		require.ErrorIs(t, c.anna.trySend(c.conversation, network.Edit{Target: theirs, Content: network.Text{Body: "not ours"}}), network.ErrUnsupported)
		require.ErrorIs(t, c.anna.trySend(c.conversation, network.Poll{Question: "?", Options: []string{"a", "a"}}), network.ErrUnsupported)
		require.ErrorIs(t, c.anna.trySend(c.conversation, network.Undecryptable{}), network.ErrUnsupported)
	})
}

func (d *device) trySend(conversation network.Address, content network.Content) error {
	_, err := d.Client.Send(d.t.Context(), d.message(conversation, content))
	return err
}

func fileOf(content string) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
}

func TestMediaOut(t *testing.T) {
	eachChat(t, func(t *testing.T, c chatFor) {
		for kind, want := range map[network.MediaKind]struct {
			mime string
			kind meta.MediaKind
		}{
			network.Image: {"image/jpeg", meta.Image}, network.Video: {"video/mp4", meta.Video}, network.GIF: {"video/mp4", meta.GIF},
			network.VideoNote: {"video/mp4", meta.PTV}, network.Audio: {"audio/mpeg", meta.Audio},
			network.Voice: {"audio/ogg; codecs=opus", meta.Voice}, network.Document: {"application/pdf", meta.Document},
			network.Sticker: {"image/webp", meta.Sticker},
		} {
			body := fmt.Sprintf("the bytes of a %s", kind)
			media := network.Media{Kind: kind, MIME: want.mime, Size: int64(len(body)), Open: fileOf(body), Width: 10, Height: 20}
			if kind != network.Audio && kind != network.Voice && kind != network.Sticker {
				media.Caption = "caption"
			}
			if kind == network.Document {
				media.FileName = "a.pdf"
			}
			h := hears(t, c.bob, c.anna.say(c.conversation, media))
			require.NotNil(t, h.Media, kind)
			require.Equal(t, want.kind, h.Media.Kind)
			require.Equal(t, media.Caption, h.Media.Caption, kind)
			data, err := h.Media.Bytes()
			require.NoError(t, err, kind)
			require.Equal(t, body, string(data))
		}
		album := c.anna.say(c.conversation, network.Album{Images: 2})
		parent := c.ours(album)
		picture := hears(t, c.bob, c.anna.say(c.conversation, network.Media{Kind: network.Image, MIME: "image/jpeg", Open: fileOf("x"), Album: &parent}))
		require.Equal(t, album, picture.Message.GetMessageContextInfo().GetMessageAssociation().GetParentMessageKey().GetID())

		caption := hears(t, c.bob, c.anna.say(c.conversation, network.Edit{
			Target: c.ours(picture.ID), Content: network.Media{Kind: network.Image, Caption: "new words"},
		}))
		require.Equal(t, picture.ID, caption.Edited)

		broken := network.Media{Kind: network.Image, MIME: "image/jpeg", Open: func(context.Context) (io.ReadCloser, error) {
			return nil, network.ErrMediaGone
		}}
		require.ErrorIs(t, c.anna.trySend(c.conversation, broken), network.ErrMediaGone)
		require.ErrorIs(t, c.anna.trySend(c.conversation, network.Media{Kind: network.Image, Size: 1 << 40, Open: fileOf("x")}), network.ErrTooLarge)
		require.ErrorIs(t, c.anna.trySend(c.conversation, network.Media{Kind: network.Image}), network.ErrUnsupported)
	})
}

func TestMediaIn(t *testing.T) {
	eachChat(t, func(t *testing.T, c chatFor) {
		for kind, want := range map[meta.MediaKind]network.MediaKind{
			meta.Image: network.Image, meta.Video: network.Video, meta.GIF: network.GIF, meta.PTV: network.VideoNote,
			meta.Audio: network.Audio, meta.Voice: network.Voice, meta.Document: network.Document, meta.Sticker: network.Sticker,
		} {
			body := []byte(fmt.Sprintf("the bytes of a %s", kind))
			id, err := c.bob.SendMedia(c.to, meta.Media{Kind: kind, Bytes: body})
			require.NoError(t, err)
			media := c.anna.hears(id).Message.Content.(network.Media)
			require.Equal(t, want, media.Kind)
			for _, open := range []func(context.Context) (io.ReadCloser, error){
				media.Open,
				func(ctx context.Context) (io.ReadCloser, error) { return c.anna.OpenMedia(ctx, media.Reference) },
			} {
				file, err := open(within(t))
				require.NoError(t, err, kind)
				data, err := io.ReadAll(file)
				require.NoError(t, err)
				require.NoError(t, file.Close())
				require.True(t, bytes.Equal(body, data))
			}
		}
		ids, err := c.bob.SendAlbum(c.to, meta.Media{Kind: meta.Image, Bytes: []byte("1")}, meta.Media{Kind: meta.Video, Bytes: []byte("2")})
		require.NoError(t, err)
		require.Equal(t, network.Album{Images: 1, Videos: 1}, c.anna.hears(ids[0]).Message.Content)
		for _, id := range ids[1:] {
			album := c.anna.hears(id).Message.Content.(network.Media).Album
			require.NotNil(t, album)
			require.Equal(t, c.theirs(t, ids[0]), *album)
		}
		_, err = c.anna.OpenMedia(within(t), []byte(`{"type":"image","path":"/nowhere?x=1","key":"AAAA"}`))
		require.ErrorIs(t, err, network.ErrMediaGone)
	})
}

func TestViewOnce(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	id, err := bob.SendViewOnceStub(anna.owner.LID())
	require.NoError(t, err)
	require.Equal(t, network.Undecryptable{ViewOnce: true}, anna.hears(id).Message.Content)
	id, err = bob.SetEphemeral(anna.owner.LID(), 86400)
	require.NoError(t, err)
	timer := await(anna.told, "the timer", func(e network.ChatEvent) bool { return e.Timer != nil })
	require.Equal(t, 24*time.Hour, *timer.Timer)
	require.Equal(t, addressOf(t, bob), timer.By)
	require.Equal(t, addressOf(t, bob), timer.Conversation)
	require.NotEmpty(t, id)
	require.NoError(t, anna.SetTimer(within(t), addressOf(t, bob), 7*24*time.Hour))
	require.Eventually(t, func() bool {
		for _, h := range bob.Heard() {
			if h.Message.GetProtocolMessage().GetEphemeralExpiration() == 7*86400 {
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond)
	require.ErrorIs(t, anna.SetTimer(t.Context(), addressOf(t, bob), time.Hour), network.ErrUnsupported)
}

// A message that cannot be opened leaves a placeholder under its own id, and the message when it comes again.
func TestUndecryptable(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	anna.settle()
	fault := simulated.Fault(meta.Fault{Kind: meta.FaultMangle, Match: meta.Match{Account: anna.device(t)}, Count: 1})
	defer fault.Remove()
	id, err := bob.Say(anna.owner.LID(), "spoilt")
	require.NoError(t, err)
	require.Equal(t, network.Undecryptable{}, anna.hears(id).Message.Content)
	require.Equal(t, network.Text{Body: "spoilt"}, anna.hears(id).Message.Content)
}

// A reaction that cannot be opened is nothing to be seen, but keeps the place in which it came.
func TestUndecryptableReaction(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	anna.settle()
	said, err := bob.Say(anna.owner.LID(), "hello")
	require.NoError(t, err)
	anna.hears(said)
	fault := simulated.Fault(meta.Fault{Kind: meta.FaultMangle, Match: meta.Match{Account: anna.device(t)}, Count: 1})
	defer fault.Remove()
	id, err := bob.ReactToOwn(anna.owner.LID(), said, "👍")
	require.NoError(t, err)
	require.Equal(t, network.Undecryptable{Hidden: true}, anna.hears(id).Message.Content)
	require.Equal(t, "👍", anna.hears(id).Message.Content.(network.Reaction).Emoji)
}

func TestHDPictureReplaces(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	first, err := bob.SendMedia(anna.owner.LID(), meta.Media{Kind: meta.Image, Bytes: []byte("small")})
	require.NoError(t, err)
	small := anna.hears(first).Message
	ref := anna.hearsImage(t, bob)
	id, err := bob.SendMessage(anna.owner.LID(), &waE2E.Message{
		AssociatedChildMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{ImageMessage: ref}},
		MessageContextInfo: &waE2E.MessageContextInfo{MessageAssociation: &waE2E.MessageAssociation{
			AssociationType:  waE2E.MessageAssociation_HD_IMAGE_DUAL_UPLOAD.Enum(),
			ParentMessageKey: keyFor(first),
		}},
	})
	require.NoError(t, err)
	edit := anna.hears(id).Message.Content.(network.Edit)
	require.Equal(t, small.ID, edit.Target)
	file, err := edit.Content.(network.Media).Open(within(t))
	require.NoError(t, err)
	defer file.Close()
	data, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, "large", string(data))
}
