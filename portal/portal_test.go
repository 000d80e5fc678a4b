package portal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

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

func TestTextToMatrix(t *testing.T) {
	for name, c := range map[string]struct{ text, body, html string }{
		"plain":                  {"hello", "hello", ""},
		"bold":                   {"*a* b", "*a* b", "<strong>a</strong> b"},
		"nested":                 {"*_a_ ~b~*", "*_a_ ~b~*", "<strong><em>a</em> <del>b</del></strong>"},
		"mono":                   {"run `*x*` now", "run `*x*` now", "run <code>*x*</code> now"},
		"block":                  {"see\n```a\n<b>```\nend", "see\n```a\n<b>```\nend", "see<pre><code>a\n&lt;b&gt;</code></pre>end"},
		"quote":                  {"> one\n> two\nme", "> one\n> two\nme", "<blockquote>one<br>two</blockquote>me"},
		"list":                   {"* one\n- *two*", "* one\n- *two*", "<ul><li>one</li><li><strong>two</strong></li></ul>"},
		"numbers":                {"3. c\n4. d", "3. c\n4. d", `<ol start="3"><li>c</li><li>d</li></ol>`},
		"words stay whole":       {"a snake_case_name 2*3*4", "a snake_case_name 2*3*4", ""},
		"lone marks":             {"5 * 3 * 2, *open", "5 * 3 * 2, *open", ""},
		"across lines":           {"*a\nb*", "*a\nb*", ""},
		"markup is no way in":    {"*<img src=x>*", "*<img src=x>*", "<strong>&lt;img src=x&gt;</strong>"},
		"html alone":             {"<b>x</b>", "<b>x</b>", ""},
		"control characters":     {"a\x00b\x1b[0mc\r\nd", "ab[0mc\nd", ""},
		"not UTF-8":              {"a\xffb", "a\uFFFDb", ""},
		"nobody is called":       {"@room hi", "@\u200Droom hi", ""},
		"line breaks":            {"*a*\n\nb", "*a*\n\nb", "<strong>a</strong><br><br>b"},
		"emoji next to a marker": {"*👍*", "*👍*", "<strong>👍</strong>"},
	} {
		converted, err := portal.ToMatrix(received(network.Text{Body: c.text}), notices)
		require.NoError(t, err, name)
		content := converted.Parts[0].Content
		require.Equal(t, event.MsgText, content.MsgType, name)
		require.Equal(t, c.body, content.Body, name)
		require.Equal(t, c.html, content.FormattedBody, name)
		require.Equal(t, c.html != "", content.Format == event.FormatHTML, name)
		require.Equal(t, &event.Mentions{}, content.Mentions, name)
	}
}

func TestOtherContentToMatrix(t *testing.T) {
	converted, err := portal.ToMatrix(received(network.Unsupported{Type: "poll"}), notices)
	require.NoError(t, err)
	require.Equal(t, event.MsgNotice, converted.Parts[0].Content.MsgType)
	require.Equal(t, "no poll", converted.Parts[0].Content.Body)
	require.NotNil(t, converted.Parts[0].Content.Mentions)
	require.False(t, isPlaceholder(converted.Parts[0].DBMetadata))

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
	edit, err := portal.ReplacePlaceholder(received(network.Text{Body: "*hi*"}), notices, row)
	require.NoError(t, err)
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

func TestFromMatrix(t *testing.T) {
	html := func(text string) *event.MessageEventContent {
		return &event.MessageEventContent{MsgType: event.MsgText, Body: "fallback", Format: event.FormatHTML, FormattedBody: text}
	}
	for name, c := range map[string]struct {
		content *event.MessageEventContent
		want    string
	}{
		"plain":            {&event.MessageEventContent{MsgType: event.MsgText, Body: " hi *there* "}, "hi *there*"},
		"notice":           {&event.MessageEventContent{MsgType: event.MsgNotice, Body: "hi"}, "hi"},
		"emote":            {&event.MessageEventContent{MsgType: event.MsgEmote, Body: "waves"}, "* waves"},
		"bold":             {html("<strong>a</strong> <em>b</em> <del>c</del> <code>d</code>"), "*a* _b_ ~c~ `d`"},
		"nested":           {html("<b><i>a</i></b>"), "*_a_*"},
		"spaces outside":   {html("x<b> a </b>b"), "x *a* b"},
		"each line":        {html("<b>a<br>b</b>"), "*a*\n*b*"},
		"stray marker":     {html("<b>2*3</b>"), "2*3"},
		"code block":       {html("<pre><code class=\"language-go\">x := 1\ny</code></pre>"), "```x := 1\ny```"},
		"quote":            {html("<blockquote>a</blockquote>b"), "> a\nb"},
		"list":             {html("<ul><li>a</li><li>b</li></ul>"), "* a\n* b"},
		"numbers":          {html("<ol start=\"3\"><li>a</li><li>b</li></ol>"), "3. a\n4. b"},
		"link":             {html(`<a href="https://example.eu">text</a>`), "text (https://example.eu)"},
		"bare link":        {html(`<a href="https://example.eu">https://example.eu</a>`), "https://example.eu"},
		"mention":          {html(`<a href="https://matrix.to/#/@bob:example.eu">Bob</a>: hi`), "Bob: hi"},
		"unknown tag":      {html("<blink>a</blink>"), "a"},
		"script and style": {html("a<script>alert(1)</script><style>x{}</style>b"), "ab"},
		"reply fallback":   {html("<mx-reply><blockquote>old</blockquote></mx-reply>new"), "new"},
		"spoiler":          {html(`<span data-mx-spoiler="x">secret</span>`), "secret"},
	} {
		got, err := portal.FromMatrix(c.content)
		require.NoError(t, err, name)
		require.Equal(t, network.Text{Body: c.want}, got, name)
	}
}

func TestFromMatrixRefuses(t *testing.T) {
	for _, kind := range []event.MessageType{
		event.MsgImage, event.MsgVideo, event.MsgAudio, event.MsgFile, event.MsgLocation, event.CapMsgSticker, "org.example.unknown",
	} {
		_, err := portal.FromMatrix(&event.MessageEventContent{MsgType: kind, Body: "x"})
		require.ErrorIs(t, err, network.ErrUnsupported, kind)
	}
	_, err := portal.FromMatrix(&event.MessageEventContent{MsgType: event.MsgText, Body: " \n"})
	require.ErrorIs(t, err, network.ErrUnsupported)
	_, err = portal.FromMatrix(&event.MessageEventContent{MsgType: event.MsgText, Body: strings.Repeat("a", portal.MaxTextLength+1)})
	require.ErrorIs(t, err, network.ErrTooLarge)
	require.False(t, errors.Is(err, network.ErrUnsupported))
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

func TestFeaturesClaimNothingThatIsRefused(t *testing.T) {
	features := portal.Features()
	require.False(t, features.Edit.Partial())
	require.False(t, features.Delete.Partial())
	require.False(t, features.Reaction.Partial())
	require.False(t, features.Poll.Partial())
	require.Nil(t, features.DisappearingTimer)
	for kind, file := range features.File {
		require.False(t, file.GetMimeSupport("image/png").Partial(), kind)
		_, err := portal.FromMatrix(&event.MessageEventContent{MsgType: kind, Body: "x"})
		require.Error(t, err)
	}
}

func TestBridgeInfo(t *testing.T) {
	content := &event.BridgeEventContent{}
	portal.FillBridgeInfo(content, anna, "mxc://a/b")
	require.Equal(t, "WhatsApp", content.Protocol.DisplayName)
	require.Equal(t, "whatsapp", content.Protocol.ID)
	require.Equal(t, "megolm", portal.EncryptionContent(true).Raw["matrix"])
	require.Equal(t, "none", portal.EncryptionContent(false).Raw["matrix"])
}

func TestLongMarkupIsQuick(t *testing.T) {
	start := time.Now()
	for _, text := range []string{
		strings.Repeat("*a ", 20000), strings.Repeat("*a* ", 15000), strings.Repeat("*_~", 20000), strings.Repeat("```", 20000),
		strings.Repeat("> *a\n", 10000),
	} {
		_, err := portal.ToMatrix(received(network.Text{Body: text}), notices)
		require.NoError(t, err)
	}
	require.Less(t, time.Since(start), 5*time.Second)
}

func FuzzToMatrix(f *testing.F) {
	for _, seed := range []string{"*a*", "```x```", "> q\n* l", "1. a\n2. b", "<script>", "*_a*_", "`" + "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		converted, err := portal.ToMatrix(received(network.Text{Body: text}), notices)
		require.NoError(t, err)
		html := converted.Parts[0].Content.FormattedBody
		for rest := html; ; {
			_, after, found := strings.Cut(rest, "<")
			if !found {
				break
			}
			tag, tail, closed := strings.Cut(after, ">")
			require.True(t, closed)
			name := strings.TrimPrefix(strings.Fields(tag)[0], "/")
			require.Contains(t, []string{"strong", "em", "del", "code", "pre", "blockquote", "br", "ul", "ol", "li"}, name)
			rest = tail
		}
	})
}
