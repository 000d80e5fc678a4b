package bridge

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/network"
)

var update = flag.Bool("update", false, "rewrite testdata/texts.golden")

// Every word that people read, in one file that a reader can look through: a change of a text is a change of that file.
func TestTexts(t *testing.T) {
	const path = "testdata/texts.golden"
	var out strings.Builder
	out.WriteString("== As they stand in the code\n")
	for _, text := range constants(t) {
		out.WriteString(text + "\n")
	}
	out.WriteString("\n== With everything filled in\n")
	for _, text := range filledIn() {
		out.WriteString(text + "\n")
	}
	out.WriteString("\n== Refusals\n")
	for _, p := range problems() {
		out.WriteString(p.sentence(network.WhatsApp) + "\n")
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(out.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String(), "run go test ./bridge -run TestTexts -update, and read the difference")
}

// The same for what is said about users' own accounts.
func TestLinkedTexts(t *testing.T) {
	const path = "testdata/texts_linked.golden"
	texts := append(constantsOf(t, "texts_linked.go"),
		textLinkedTopic(network.WhatsApp), textLinkedSpace(network.WhatsApp, "+4915110000001"), textLinkedSpace(network.WhatsApp, ""),
		textPlaceholder("event", "", "WhatsApp on your phone"), textPlaceholder("buttons", "Choose one", ""),
		textInvited("Hiking", ""), textInvited("Hiking", "2026-11-25 10:00:00 UTC"), textTimer(24*time.Hour), textTimer(90*24*time.Hour))
	out := strings.Join(texts, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(out), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), out, "run go test ./bridge -run TestLinkedTexts -update, and read the difference")
}

// constants are all texts of texts.go by their names.
func constants(t *testing.T) []string {
	texts := constantsOf(t, "texts.go")
	require.Greater(t, len(texts), 50)
	return texts
}

func constantsOf(t *testing.T, path string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	var texts []string
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			constant := spec.(*ast.ValueSpec)
			literal, ok := constant.Values[0].(*ast.BasicLit)
			require.True(t, ok, constant.Names[0].Name)
			value, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			texts = append(texts, fmt.Sprintf("%s: %s", constant.Names[0].Name, value))
		}
	}
	slices.Sort(texts)
	return texts
}

func filledIn() []string {
	texts := []string{
		textMessageRequest("Anna", "+4915110000001", "!cw"),
		textMessageRequest("+4915110000001", "", "!cw"),
		textFileMissing(network.Voice, textFileGone),
		textFileMissing(network.Image, textFileTooLarge),
		textReport("@alice:example.eu", "whatsapp-lid-90000000000001", "they sell things that do not exist"),
		textUnsupportedContent("poll"),
		textIdentityChanged("Anna"),
		fmt.Sprintf(textBlocked, "Anna"),
		textNoFlows([]string{"network.interop.integrator.id"}, false, true),
		textNoFlows(nil, false, false),
		textLost("Anna", network.WhatsApp, "ours"),
		textLost("", network.Messenger, "gone"),
	}
	for _, n := range []network.Network{network.WhatsApp, network.Messenger} {
		texts = append(texts, textTopic(n), textAnnouncement("Anna", n, true), textAnnouncement("Anna", n, false), textBack(n), textSpaceName(n))
	}
	for _, state := range []status.BridgeStateEvent{
		status.StateConnected, status.StateConnecting, status.StateTransientDisconnect, status.StateBadCredentials, status.StateUnknownError,
	} {
		texts = append(texts, textState(state))
	}
	return texts
}

func TestTextsAreNeutralAboutPeople(t *testing.T) {
	for _, text := range append(append(constants(t), constantsOf(t, "texts_linked.go")...), filledIn()...) {
		for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' }) {
			require.NotContains(t, []string{"he", "she", "his", "her", "him", "hers"}, word, text)
		}
	}
}
