package bridge

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/database"
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
	for _, p := range append(problems(), sortedRowProblems()...) {
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
		textInvited("Hiking", ""), textInvited("Hiking", "2026-11-25 10:00:00 UTC"), textWantsIn("Anna", "!cw"), textTimer(24*time.Hour), textTimer(90*24*time.Hour),
		textBan("", aTime), textBan("the same message to too many people", time.Time{}))
	out := strings.Join(texts, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(out), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), out, "run go test ./bridge -run TestLinkedTexts -update, and read the difference")
}

// The same for what is said about where users are.
func TestRegionTexts(t *testing.T) {
	const path = "testdata/texts_region.golden"
	words := reflect.ValueOf(regionWords(false))
	texts := append(constantsOf(t, "texts_region.go"),
		textRegionLogin("https://bridge.example.eu/x"), "Kept, in mode proxy: "+regionWords(true).Kept,
		textAddressWanted(network.WhatsApp, "https://bridge.example.eu/x"), textWaitsForYou(network.WhatsApp, 1), textWaitsForYou(network.WhatsApp, 3), textRegionLink(network.WhatsApp, "https://bridge.example.eu/x"),
		textRegionDue(network.WhatsApp, aTime))
	for i := range words.NumField() {
		require.NotEmpty(t, words.Field(i).String(), words.Type().Field(i).Name)
		texts = append(texts, words.Type().Field(i).Name+": "+words.Field(i).String())
	}
	out := strings.Join(texts, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(out), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), out, "run go test ./bridge -run TestRegionTexts -update, and read the difference")
}

func sortedRowProblems() []problem {
	return slices.SortedFunc(maps.Values(rowProblems()), func(a, b problem) int { return strings.Compare(a.code, b.code) })
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
		textFileMissing(network.Video, textFileQuota),
		textFileMissing(network.Document, textFileStranger),
		textReport("@alice:example.eu", "whatsapp-lid-90000000000001", "they sell things that do not exist"),
		textUnsupportedContent("poll"),
		textIdentityChanged("Anna"),
		textAbuseReport("@alice:example.eu", network.WhatsApp, "case-1", "spam", 3), textIntegratorStatus(network.WhatsApp, "removed"),
		textSuspendedUntil(time.Unix(1_790_000_000, 0)),
		fmt.Sprintf(textBlocked, "Anna"),
		textNoFlows([]string{"network.interop.integrator.id"}, false, true),
		textNoFlows(nil, false, false),
		textLost("Anna", network.WhatsApp, Explain("ours").Sentence(network.WhatsApp)),
		textLost("", network.Messenger, Explain("gone").Sentence(network.Messenger)),
		textDiskAlarm(123<<20, 500<<20),
		textAnswered(network.WhatsApp, 40*time.Millisecond), textTraffic(aTime),
		textWaiting(network.WhatsApp, wait{}, wait{}, wait{}),
		textWaiting(network.WhatsApp, wait{3, aTime}, wait{1, aTime}, wait{2, aTime}),
	}
	texts = append(texts, fates()...)
	for _, n := range []network.Network{network.WhatsApp, network.Messenger} {
		texts = append(texts, textTopic(n), textAnnouncement("Anna", n, true), textAnnouncement("Anna", n, false), textBack(n), textSpaceName(n), textTermsChanged(n, "2", "whatsapp-interop"))
	}
	for _, state := range []status.BridgeStateEvent{
		status.StateConnected, status.StateConnecting, status.StateTransientDisconnect, status.StateBadCredentials, status.StateUnknownError,
	} {
		texts = append(texts, textState(state))
	}
	return texts
}

var aTime = time.Date(2026, 11, 1, 12, 30, 0, 0, time.UTC)

// fates are what users are told of messages, by all that can become of one.
func fates() (texts []string) {
	ms := aTime.UnixMilli()
	for _, row := range []database.OutboxRow{
		{State: database.OutboxReady, CreatedAt: ms},
		{State: database.OutboxReady, CreatedAt: ms, Attempts: 1, ErrorClass: "CW-1404"},
		{State: database.OutboxUnknown, CreatedAt: ms, Attempts: 4, ErrorClass: "CW-1402"},
		{State: database.OutboxSent, CreatedAt: ms, DoneAt: ms + 1000},
		{State: database.OutboxSent, CreatedAt: ms, DoneAt: ms + 1000, DeliveredAt: ms + 2000, ReadAt: ms + 3000},
		{State: database.OutboxFailed, CreatedAt: ms, ErrorClass: "CW-1201", Payload: []byte{1}},
		{State: database.OutboxFailed, CreatedAt: ms, ErrorClass: "a reason of an old version"},
	} {
		texts = append(texts, fateOfSent(row, network.WhatsApp))
	}
	for _, entry := range []database.Entry{
		{State: "new", At: ms}, {State: "retry", At: ms, Class: "transient"}, {State: "held", At: ms}, {State: "done", At: ms, DoneAt: ms + 1000},
		{State: "done", At: ms, Class: "placeholder"}, {State: "quarantined", At: ms, Class: "deadly"},
	} {
		texts = append(texts, fateOfCome(entry, network.WhatsApp))
	}
	return texts
}

func TestTextsAreNeutralAboutPeople(t *testing.T) {
	for _, text := range slices.Concat(constants(t), constantsOf(t, "texts_linked.go"), constantsOf(t, "texts_region.go"), filledIn()) {
		for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' }) {
			require.NotContains(t, []string{"he", "she", "his", "her", "him", "hers"}, word, text)
		}
	}
}
