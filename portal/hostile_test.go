package portal_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
)

// quick is how long one message may take.
const quick = 100 * time.Millisecond

// hostileTexts are what a stranger may send to slow a bridge down.
func hostileTexts() map[string]string {
	return map[string]string{
		"open markers":      strings.Repeat("*a ", 20_000),
		"pairs":             strings.Repeat("*a* ", 15_000),
		"marker soup":       strings.Repeat("*_~", 20_000),
		"nested pairs":      strings.Repeat("*_", 15_000) + "a" + strings.Repeat("_*", 15_000),
		"fences":            strings.Repeat("```", 20_000),
		"quotes":            strings.Repeat("> *a\n", 10_000),
		"line breaks":       strings.Repeat("\n", 100_000),
		"calls":             strings.Repeat("@room", 10_000),
		"marks":             "a" + strings.Repeat("\u0301", 10_000),
		"joiners":           strings.Repeat("\u200d", 20_000),
		"addresses":         strings.Repeat("https://a", 7_000),
		"addresses, spaced": strings.Repeat("https://a ", 6_000),
		"bytes":             strings.Repeat("\xff", 60_000),
		"controls":          strings.Repeat("\x00", 60_000),
		"numbers":           strings.Repeat("1. a\n", 12_000),
	}
}

func TestHostileTextsAreQuick(t *testing.T) {
	for name, text := range hostileTexts() {
		start := time.Now()
		converted, err := portal.ToMatrix(received(network.Text{Body: text}), notices)
		require.NoError(t, err, name)
		require.Less(t, time.Since(start), 10*quick, name) // with room for a busy machine
		content := converted.Parts[0].Content
		require.LessOrEqual(t, len(content.FormattedBody), 64<<10, name)
		require.NotContains(t, content.Body, "@room", name)
		checkHTML(t, content.FormattedBody)
	}
	converted, err := portal.ToMatrix(received(network.Text{Body: hostileTexts()["line breaks"]}), notices)
	require.NoError(t, err)
	require.Len(t, converted.Parts[0].Content.Body, 50)
}

func TestHostileHTMLIsQuick(t *testing.T) {
	for name, source := range map[string]string{
		"depth":           strings.Repeat("<b>", 10_000) + "deep" + strings.Repeat("</b>", 10_000),
		"depth of quotes": strings.Repeat("<blockquote>", 10_000) + "deep",
		"depth of lists":  strings.Repeat("<ul><li>", 5_000) + "deep",
		"a little depth":  strings.Repeat("<div>", 40) + "deep",
		"many nodes":      strings.Repeat("<br>", 30_000),
		"misnested":       strings.Repeat("<b><i></b>", 6_000) + "deep",
	} {
		content := &event.MessageEventContent{MsgType: event.MsgText, Body: "plain", Format: event.FormatHTML, FormattedBody: source}
		start := time.Now()
		got, err := portal.FromMatrix(content)
		require.NoError(t, err, name)
		require.Less(t, time.Since(start), 10*quick, name)
		require.Equal(t, network.Text{Body: "plain"}, got, name)
	}
}

func TestLongTexts(t *testing.T) {
	short := network.Text{Body: "hi"}
	beginning, long := portal.LongText(short)
	require.False(t, long)
	require.Equal(t, short, beginning)
	beginning, long = portal.LongText(network.Text{Body: strings.Repeat("ä", 20_000)})
	require.True(t, long)
	require.True(t, utf8.ValidString(beginning.Body))
	require.LessOrEqual(t, len(beginning.Body), 5<<10)
}

// checkHTML fails on any tag or attribute that is not ours.
func checkHTML(t *testing.T, source string) {
	t.Helper()
	tokens := html.NewTokenizer(strings.NewReader(source))
	for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
		if kind == html.TextToken {
			continue
		}
		require.Contains(t, []html.TokenType{html.StartTagToken, html.EndTagToken}, kind, source)
		token := tokens.Token()
		require.Contains(t, []string{"strong", "em", "del", "code", "pre", "blockquote", "br", "ul", "ol", "li", "a"}, token.Data)
		for _, attribute := range token.Attr {
			switch {
			case token.Data == "a" && attribute.Key == "href":
				require.Regexp(t, `(?i)^https?://`, attribute.Val)
				require.NotRegexp(t, `(?i)^https?://(.*@)?matrix\.to\.?[/:?#]`, attribute.Val)
			case token.Data == "ol" && attribute.Key == "start":
			default:
				require.Fail(t, "an attribute that is not ours", "%s in %s", attribute.Key, source)
			}
		}
	}
}

func FuzzToMatrix(f *testing.F) {
	for _, seed := range []string{"*a*", "```x```", "> q\n* l", "1. a\n2. b", "<script>", "*_a*_", "`" + "\xff", "*https://a.eu/_x_* @Room",
		"https://matrix.to/#/@a:b *a*", "a\u0301\u0301\u200d\u200d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		converted, err := portal.ToMatrix(received(network.Text{Body: text, Preview: &network.LinkPreview{URL: text, Title: text}}), notices)
		require.NoError(t, err)
		if len(text) < 64<<10 {
			require.Less(t, time.Since(start), 10*quick)
		}
		content := converted.Parts[0].Content
		checkHTML(t, content.FormattedBody)
		require.True(t, utf8.ValidString(content.Body))
		require.NotRegexp(t, "(?i)@room", content.Body)
		again, err := portal.ToMatrix(received(network.Text{Body: content.Body}), notices)
		require.NoError(t, err)
		require.Equal(t, content.Body, again.Parts[0].Content.Body, "cleaning twice changes nothing")
	})
}

func FuzzFromMatrix(f *testing.F) {
	for _, seed := range []string{"<b>a</b>", "<ul><li>a", "<pre><code>x", "<mx-reply>a</mx-reply>b", "<a href='javascript:x'>y</a>", "<h1>a<b>", "<b> </b>", "\x00<i>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		start := time.Now()
		got, err := portal.FromMatrix(&event.MessageEventContent{MsgType: event.MsgText, Body: "x", Format: event.FormatHTML, FormattedBody: source})
		if len(source) < 64<<10 {
			require.Less(t, time.Since(start), 10*quick)
		}
		if err != nil {
			return
		}
		text := got.(network.Text).Body
		require.True(t, utf8.ValidString(text))
		require.NotContains(t, text, "\x00")
		again, err := portal.FromMatrix(&event.MessageEventContent{MsgType: event.MsgText, Body: text})
		require.NoError(t, err)
		require.Equal(t, got, again, "what is plain stays as it is")
	})
}

func FuzzFileName(f *testing.F) {
	f.Add("../../etc/passwd")
	f.Add("con.txt")
	f.Add("a\u202egnp.exe")
	f.Fuzz(func(t *testing.T, name string) {
		clean := portal.FileName(name, ".bin")
		require.NotEmpty(t, clean)
		require.LessOrEqual(t, len(clean), 200)
		require.True(t, utf8.ValidString(clean))
		require.NotContains(t, clean, "/")
		require.NotContains(t, clean, `\`)
		require.NotContains(t, clean, "\n")
		require.False(t, strings.HasPrefix(clean, "."))
		require.Equal(t, clean, portal.FileName(clean, ".bin"))
	})
}
