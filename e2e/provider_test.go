package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// rows counts what a query finds in the bridge's database.
func (h *house) rows(query string, args ...any) (count int) {
	t := h.world.t
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(h.stage.Bridge.Dir, "causeway.db")+"?mode=ro")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM "+query, args...).Scan(&count))
	return count
}

// keys counts the rows of an account's Signal stores.
func (u *matrixUser) keys() (count int) {
	for _, table := range []string{"keys", "identity", "session", "prekey", "prekey_counter", "opened", "sent"} {
		count += u.house.rows("cw_signal_" + table)
	}
	return count
}

// files counts what lies in the bridge's media folder.
func (h *house) files() (count int) {
	entries, err := os.ReadDir(filepath.Join(h.stage.Bridge.Dir, "media"))
	require.NoError(h.world.t, err)
	for _, entry := range entries {
		if !entry.IsDir() {
			count++
		}
	}
	return count
}

// status is how the network has the user's enlistment.
func (u *matrixUser) status() string {
	for _, enlistment := range u.house.world.net.Enlistments() {
		if enlistment.JID == u.jid {
			return enlistment.Status
		}
	}
	return ""
}

// Whoever takes their consent back is out at once: no connection, no enlistment, no keys, no token, no files, and the
// chats stay, to be read.
func TestConsentWithdrawn(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	chat := alice.StartChat(anna)
	anna.Says(alice, "something to keep")
	chat.WaitForMessage(anna, "something to keep")
	chat.SendsFile([]byte("a list of things"), "text/plain", event.MessageEventContent{MsgType: event.MsgFile, Body: "list.txt"})
	anna.hearsNext()
	require.Positive(t, alice.keys())
	require.Equal(t, 1, w.files())

	alice.Command("consent")
	alice.WaitForNotice("you agreed to version", "live in DE")
	alice.Command("consent withdraw")
	alice.WaitForNotice("within two minutes")
	alice.Command("no, stay")
	alice.WaitForNotice("nothing was changed")
	alice.Command("consent withdraw")
	alice.WaitForNotice("within two minutes")
	alice.Command("withdraw")
	alice.WaitForNotice("has ended")

	require.False(t, alice.connected())
	require.Equal(t, "withdrawn", alice.status())
	require.Zero(t, alice.keys())
	require.Zero(t, w.files())
	require.Zero(t, w.rows("cw_media"))
	require.Zero(t, w.rows("cw_consent WHERE withdrawn_at IS NULL"), "no token without a consent")
	chat.WaitForNotice("stays readable")
	chat.waitFor("the room to be read-only", func() bool { return !chat.MaySpeak() })
	require.Equal(t, []string{"something to keep"}, chat.Texts(anna))

	// A new yes begins anew.
	alice = alice.Enlisted()
	alice.Command("start-chat " + anna.Phone())
	alice.WaitForNotice("chat is ready")
	var again *room
	w.eventually("a room of the new account", func() bool {
		for _, candidate := range alice.client.Rooms() {
			if candidate.ID != chat.ID && candidate.Joined() && candidate.MaySpeak() && bridgedTo(candidate) == anna.conversation() {
				again = &room{Room: candidate, user: alice}
			}
		}
		return again != nil
	})
	again.Says("here again")
	anna.HearsText(alice, "here again")
}

// The network ends an enlistment by itself.
func TestNetworkWithdraws(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("hello")
	anna.HearsText(alice, "hello")

	require.NoError(t, w.net.SetEnlistment(alice.jid, "withdrawn"))
	require.NoError(t, w.net.Push(alice.jid, "enlistment_withdrawn", map[string]any{"reason": "abuse"}))
	alice.waitForWord("has ended", "CW-1105")
	room.WaitForNotice("stays readable")
	room.waitFor("the room to be read-only", func() bool { return !room.MaySpeak() })
	w.eventually("the keys to be erased", func() bool { return alice.keys() == 0 })
	require.False(t, alice.connected())
	require.Zero(t, w.rows("cw_consent WHERE withdrawn_at IS NULL"))
}

// The network suspends somebody for a while: the user is told, nothing is sent, and it goes on when the network says so.
func TestNetworkSuspends(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	require.NoError(t, w.net.SetEnlistment(alice.jid, "suspended"))
	require.NoError(t, w.net.Push(alice.jid, "enlistment_suspended", map[string]any{"reason": "spam", "until": 1_900_000_000}))
	alice.waitForWord("suspended", "2030-03-17", "CW-1104")
	w.eventually("the connection to end", func() bool { return !alice.connected() })
	room.Says("anybody there?")
	room.WaitForNotice("suspended", "CW-1104")

	require.NoError(t, w.net.SetEnlistment(alice.jid, "active"))
	anna.Says(alice, "are you back?")
	room.WaitForMessage(anna, "are you back?")
	alice.waitForWord("connected to WhatsApp again")
	room.Says("I am")
	anna.HearsText(alice, "I am")
}

// A connection that died unnoticed comes back when the network calls, long before its own signs of life would tell.
func TestPushWakes(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("hello")
	anna.HearsText(alice, "hello")

	require.Equal(t, 1, w.net.DropConnections(alice.jid, "silence"))
	anna.Says(alice, "do you hear me?")
	require.NoError(t, w.net.Push(alice.jid, "message_waiting", map[string]any{"count": 1}))
	room.WaitForMessage(anna, "do you hear me?")
}

// What the network says of complaints, and of the provider, reaches those who run it.
func TestAdministratorsAreTold(t *testing.T) {
	w := newWorld(t)
	alice, admin := w.MatrixUser("alice").Enlisted(), w.MatrixUser("admin")
	admin.Command("version") // the bot knows where to write to them
	admin.WaitForNotice("causeway")
	require.NoError(t, w.net.Push(alice.jid, "abuse_report", map[string]any{"case_id": "case-17", "category": "spam", "count": 3}))
	admin.waitForWord("@alice:localhost", "case-17", "spam", "3")
	require.NoError(t, w.net.PushEvents(integrator, "whatsapp", meta.PushEvent{"type": "integrator_status", "status": "onboarding"}))
	admin.waitForWord("as a provider", "onboarding")
}

// waitForWord waits until the bot has said something with all of these parts, whenever that was.
func (u *matrixUser) waitForWord(parts ...string) client.Line {
	w := u.house.world
	w.t.Helper()
	line, err := u.bot.WaitForLine(w.soon(), fmt.Sprintf("the bot to say %q", parts), func(line client.Line) bool {
		return line.Sender == id.UserID(u.house.stage.BotID) && client.ContainsAll(line.Body, parts...)
	})
	require.NoError(w.t, err)
	return line
}

// A user gets what is kept about them, and has it erased.
func TestExportAndErase(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.MatrixUser("alice").Enlisted(), w.MatrixUser("bob").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	hers, his := alice.StartChat(anna), bob.StartChat(anna)
	hers.Says("hello from alice")
	anna.HearsText(alice, "hello from alice")
	his.Says("hello from bob")
	anna.HearsText(bob, "hello from bob")

	alice.Command("consent export")
	line := alice.waitForWord("third-party-chats.json")
	require.Equal(t, event.MsgFile, line.Content.MsgType)
	var record struct {
		User     string
		Consents []struct{ Terms, Country string }
		Accounts []struct {
			Account, Identifier, Status string
			Rows                        map[string]int
		}
		Chats []struct {
			Person, Room string
			Messages     int
		}
	}
	data := hers.download(line.Content.URL)
	require.NoError(t, json.Unmarshal(data, &record))
	require.Equal(t, alice.client.UserID().String(), record.User)
	require.Len(t, record.Consents, 1)
	require.Equal(t, "DE", record.Consents[0].Country)
	require.NotEmpty(t, record.Consents[0].Terms)
	require.Len(t, record.Accounts, 1)
	require.Equal(t, alice.Identifier(), record.Accounts[0].Identifier)
	require.Len(t, record.Chats, 1)
	require.Equal(t, hers.ID.String(), record.Chats[0].Room)
	require.Equal(t, 1, record.Chats[0].Messages)
	require.NotContains(t, string(data), "bob")
	for _, place := range alice.traces(record.Accounts[0].Account) {
		table, _, _ := strings.Cut(place, ".")
		require.True(t, exportedAs()[table] != "" || record.Accounts[0].Rows[table] > 0, "nothing in the export is from %s", place)
	}

	alice.Command("consent erase")
	alice.WaitForNotice("within two minutes")
	alice.Command("erase")
	alice.WaitForNotice("is erased")
	require.Equal(t, "withdrawn", alice.status())
	require.False(t, alice.connected())
	w.eventually("no trace of the account, but there is "+fmt.Sprint(alice.traces(record.Accounts[0].Account)), func() bool {
		return len(alice.traces(record.Accounts[0].Account)) == 0
	})

	anna.Says(bob, "still here, bob?")
	his.WaitForMessage(anna, "still here, bob?")
	require.Equal(t, 1, w.rows("cw_enlistment"))
}

// exportedAs are the tables with something of a user that an export tells other than by counting rows, each with where.
func exportedAs() map[string]string {
	return map[string]string{
		"cw_consent": "consents", "cw_enlistment": "accounts", "cw_subject": "accounts: the number by which the network knows the user",
		"cw_media": "files of an account", "portal": "chats", "message": "messages of a chat", "reaction": "messages of a chat",
		"user_login": "accounts", "user_portal": "chats", "ghost": "the account's own name", "cw_mx_inbox": "what the user wrote, until it is handled",
		"user": "the user's own id", "kv_store": "linked accounts",
	}
}

// traces are the tables, of those about accounts and chats, in which a user or their account stands.
func (u *matrixUser) traces(account string) (found []string) {
	t := u.house.world.t
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(u.house.stage.Bridge.Dir, "causeway.db")+"?mode=ro")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	names, err := db.Query("SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'")
	require.NoError(t, err)
	defer names.Close()
	for names.Next() {
		var table, column string
		require.NoError(t, names.Scan(&table, &column))
		marks := []string{account, u.Identifier()}
		if strings.HasPrefix(table, "cw_") {
			marks = append(marks, u.client.UserID().String())
		}
		for _, mark := range marks {
			var count int
			query := fmt.Sprintf("SELECT COUNT(*) FROM %q WHERE instr(CAST(%q AS TEXT), ?) > 0", table, column)
			require.NoError(t, db.QueryRow(query, mark).Scan(&count))
			if count > 0 {
				found = append(found, table+"."+column)
			}
		}
	}
	require.NoError(t, names.Err())
	return found
}
