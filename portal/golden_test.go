package portal_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
)

var update = flag.Bool("update", false, "rewrite the results in testdata")

// toMatrixCase is one line of testdata/tomatrix.json.
type toMatrixCase struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Body string `json:"body"`
	HTML string `json:"html,omitempty"`
}

// fromMatrixCase is one line of testdata/frommatrix.json. Refused stands for an error.
type fromMatrixCase struct {
	Name    string `json:"name"`
	HTML    string `json:"html,omitempty"`
	Plain   string `json:"plain,omitempty"`
	Text    string `json:"text,omitempty"`
	Refused bool   `json:"refused,omitempty"`
}

func TestGoldenToMatrix(t *testing.T) {
	golden(t, "testdata/tomatrix.json", func(t *testing.T, c toMatrixCase) toMatrixCase {
		converted, err := portal.ToMatrix(received(network.Text{Body: c.Text}), notices)
		require.NoError(t, err)
		content := converted.Parts[0].Content
		require.Equal(t, event.MsgText, content.MsgType)
		require.Equal(t, content.FormattedBody != "", content.Format == event.FormatHTML)
		require.Equal(t, &event.Mentions{}, content.Mentions)
		c.Body, c.HTML = content.Body, content.FormattedBody
		return c
	})
}

func TestGoldenFromMatrix(t *testing.T) {
	golden(t, "testdata/frommatrix.json", func(t *testing.T, c fromMatrixCase) fromMatrixCase {
		content := &event.MessageEventContent{MsgType: event.MsgText, Body: c.Plain}
		if c.HTML != "" {
			content.Body, content.Format, content.FormattedBody = "fallback", event.FormatHTML, c.HTML
		}
		converted, err := portal.FromMatrix(content)
		c.Text, c.Refused = "", err != nil
		if err != nil {
			require.ErrorIs(t, err, network.ErrUnsupported)
			return c
		}
		text, ok := converted.(network.Text)
		require.True(t, ok)
		c.Text = text.Body
		return c
	})
}

// golden runs every case of a file and compares its results, or writes them.
func golden[T any](t *testing.T, path string, run func(*testing.T, T) T) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var cases []T
	require.NoError(t, json.Unmarshal(data, &cases))
	require.GreaterOrEqual(t, len(cases), 75)
	for i, c := range cases {
		got := run(t, c)
		if !*update {
			require.Equal(t, c, got, "%s, case %d", path, i)
		}
		cases[i] = got
	}
	if !*update {
		return
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(cases))
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
}
