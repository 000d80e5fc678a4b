package portal_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
)

// FuzzMatrixEvent converts what any Matrix client may have put into an event, of each type that rooms carry.
func FuzzMatrixEvent(f *testing.F) {
	for _, seed := range []string{
		`{"msgtype":"m.text","body":"hi","m.mentions":{"user_ids":["@a:b"],"room":true}}`,
		`{"msgtype":"m.location","body":"here","geo_uri":"geo:48.2,16.3;u=35","org.matrix.msc3488.location":{"uri":"geo:1e400,-0"}}`,
		`{"msgtype":"m.audio","body":"x","url":"mxc://a/b","info":{"duration":-1,"size":9007199254740993},"org.matrix.msc1767.audio":{"waveform":[1,-2,99999]},"org.matrix.msc3245.voice":{}}`,
		`{"msgtype":"m.image","body":"../../x","filename":"con.png","info":{"w":-1,"h":1e9,"mimetype":"image/svg+xml"},"url":"http://x"}`,
		`{"msgtype":"m.file","body":"a","file":{"url":"mxc://a/b","v":"v2"}}`,
		`{"question":{"body":"?"},"answers":[{"id":"1","org.matrix.msc1767.text":"a"},{"id":"1"}],"max_selections":-4}`,
		`{"org.matrix.msc3381.poll.start":{"question":{"org.matrix.msc1767.text":"q"},"answers":[{"id":"a","org.matrix.msc1767.text":"x"}],"max_selections":1}}`,
		`{"m.poll":{"question":{"m.text":[{"body":"q"}]},"answers":[{"m.id":"a","m.text":[{"body":"x"}]}]}}`,
		`{"m.relates_to":{"rel_type":"m.annotation","event_id":"$a","key":"👍"}}`,
		`{"m.new_content":{"msgtype":"m.text","body":"new"},"m.relates_to":{"rel_type":"m.replace","event_id":"$a"}}`,
	} {
		f.Add([]byte(seed))
	}
	pills := func(id.UserID) (network.Address, bool) { return anna, true }
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		var content event.MessageEventContent
		if json.Unmarshal(raw, &content) == nil {
			if got, err := portal.FromMatrix(&content); err == nil {
				if text, plain := got.(network.Text); plain {
					require.True(t, utf8.ValidString(text.Body))
				}
			}
			_, _ = portal.LinkedFromMatrix(&content, pills)
			for _, can := range []portal.Abilities{portal.AbilitiesOf(network.WhatsApp), portal.AbilitiesOf(network.Messenger), portal.LinkedAbilities()} {
				file, err := portal.FileFromMatrix(&content, portal.Found{MIME: "audio/ogg", Extension: ".ogg", Size: 1}, can, true)
				if err == nil {
					require.True(t, utf8.ValidString(file.Media.FileName))
					require.False(t, strings.ContainsAny(file.Media.FileName, "/\\\n\x00"), "%q", file.Media.FileName)
					require.GreaterOrEqual(t, file.Media.Duration, time.Duration(0))
				}
			}
		}
		for _, kind := range []string{"m.poll.start", "m.poll.response", "m.poll.end"} {
			_, _, _ = portal.UnstablePoll(kind, raw)
		}
		var poll event.PollStartEventContent
		if json.Unmarshal(raw, &poll) == nil {
			if made, known, err := portal.PollFromMatrix(&poll); err == nil {
				require.NotEmpty(t, made.Options)
				var vote event.PollResponseEventContent
				if json.Unmarshal(raw, &vote) == nil {
					_, _ = portal.VoteFromMatrix(network.MessageID{Conversation: anna, Sender: anna, ID: "1"}, &vote, known)
				}
			}
		}
		if emoji, err := portal.ReactionFromMatrix(string(raw)); err == nil {
			require.LessOrEqual(t, len(emoji), 64)
		}
	})
}

// FuzzCards reads contact cards, which come as they are from whoever shares them.
func FuzzCards(f *testing.F) {
	f.Add("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bert\r\nTEL;waid=4915:+49 15\r\nEND:VCARD\r\n")
	f.Add("BEGIN:VCARD\nFN:a\nEND:VCARD\nBEGIN:VCARD\nEND:VCARD")
	f.Add("END:VCARD BEGIN:VCARD \xff FN;:;:")
	f.Fuzz(func(t *testing.T, text string) {
		contacts, ok := portal.CardsFromMatrix(text)
		if ok {
			require.NotEmpty(t, contacts.Cards)
		} else {
			contacts = network.Contacts{Cards: []network.Card{{Name: text, VCard: text}}}
		}
		require.True(t, utf8.ValidString(portal.CardsText(contacts)))
		name, _ := portal.CardsFile(contacts)
		require.False(t, strings.ContainsAny(name, "/\\\n\x00"), "%q", name)
	})
}
