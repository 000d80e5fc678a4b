package portal_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/portal"
)

func TestSplit(t *testing.T) {
	short := network.Text{Body: "short", Preview: &network.LinkPreview{Matched: "x"}}
	require.Equal(t, "short", portal.Split(short)[0].Body)
	require.Len(t, portal.Split(network.Text{Body: strings.Repeat("a", portal.MaxTextLength)}), 1)

	for name, text := range map[string]string{
		"no breaks":  strings.Repeat("a", 3*portal.MaxTextLength+1),
		"wide runes": strings.Repeat("😀", portal.MaxTextLength/2),
		"lines":      strings.Repeat("a line of some words\n", 10_000) + "end",
		"paragraphs": strings.Repeat(strings.Repeat("word ", 100)+"\n\n", 500) + "end",
	} {
		pieces := portal.Split(network.Text{Body: text})
		require.Greater(t, len(pieces), 1, name)
		var whole strings.Builder
		for _, piece := range pieces {
			require.NotEmpty(t, strings.TrimSpace(piece.Body), name)
			require.LessOrEqual(t, len(piece.Body), portal.MaxTextLength, name)
			require.True(t, utf8.ValidString(piece.Body), name)
			whole.WriteString(piece.Body)
		}
		bare := strings.NewReplacer("\n", "", " ", "")
		require.Equal(t, bare.Replace(text), bare.Replace(whole.String()), name)
	}

	link := "https://example.eu/boats"
	pieces := portal.Split(network.Text{Body: strings.Repeat("a", portal.MaxTextLength) + " " + link, Preview: &network.LinkPreview{Matched: link}})
	require.Nil(t, pieces[0].Preview)
	require.NotNil(t, pieces[1].Preview)
}

func FuzzSplit(f *testing.F) {
	f.Add("a text", 40_000)
	f.Add("wide 😀 runes\n\n", 9_000)
	f.Fuzz(func(t *testing.T, text string, times int) {
		if times < 0 || len(text)*times > 1<<20 {
			return
		}
		whole := 0
		for _, piece := range portal.Split(network.Text{Body: strings.ToValidUTF8(strings.Repeat(text, times), "?")}) {
			require.LessOrEqual(t, len(piece.Body), portal.MaxTextLength)
			require.True(t, utf8.ValidString(piece.Body))
			whole += len(piece.Body)
		}
		require.LessOrEqual(t, whole, len(strings.ToValidUTF8(strings.Repeat(text, times), "?")))
	})
}
