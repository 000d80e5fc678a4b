package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	mxid "maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/database/databasetest"
	"causeway/delivery"
	"causeway/network"
)

const testLogin = "whatsapp-interop-12-105"

// TestJournal runs the journal command as an operator does, on both databases; see testdata/journal.
func TestJournal(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("testdata", "journal", "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		t.Run("sqlite", func(t *testing.T) {
			// each script's database lies in the script's own folder
			runJournalScript(t, script, databasetest.Place{Driver: "sqlite3-fk-wal-fullsync", URI: "file:causeway.db?_txlock=immediate"})
		})
		if place, ok := databasetest.Postgres(t); ok {
			t.Run("postgres", func(t *testing.T) { runJournalScript(t, script, place) })
		}
	}
}

func runJournalScript(t *testing.T, script string, place databasetest.Place) {
	testscript.Run(t, testscript.Params{
		Files: []string{script},
		Setup: func(env *testscript.Env) error {
			env.Setenv("DRIVER", place.Driver)
			env.Setenv("URI", place.URI)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"edit": edit,
			// fill writes one row of each end that there is; see [fill].
			"fill": func(ts *testscript.TestScript, _ bool, _ []string) { fill(ts).Stop(context.Background()) },
			// run holds the database as a running bridge does, until the script ends.
			"run": func(ts *testscript.TestScript, _ bool, _ []string) {
				running := open(ts)
				ts.Defer(func() { running.Stop(context.Background()) })
			},
			// states compares the states of all rows, in order.
			"states": func(ts *testscript.TestScript, _ bool, args []string) {
				db := connect(ts)
				defer db.Close()
				entries, err := database.New(db).Journal("").Entries(context.Background(),
					database.Entries{Open: true, Troubled: true, Ended: true, Limit: 100})
				ts.Check(err)
				var states []string
				for _, entry := range entries {
					states = append(states, entry.State)
				}
				if got := strings.Join(states, " "); got != strings.Join(args, " ") {
					ts.Fatalf("the rows are %s", got)
				}
			},
		},
	})
}

func connect(ts *testscript.TestScript) *dbutil.Database {
	uri := strings.Replace(ts.Getenv("URI"), "causeway.db", ts.MkAbs("causeway.db"), 1)
	db, err := dbutil.NewWithDialect(uri, ts.Getenv("DRIVER"))
	ts.Check(err)
	return db
}

// quietBridge is a bridge that delivers nothing.
type quietBridge struct{ delivery.Bridge }

func (quietBridge) PortalKey(login networkid.UserLoginID, conversation network.Address) networkid.PortalKey {
	return networkid.PortalKey{ID: networkid.PortalID(conversation.String()), Receiver: login}
}

// open opens the journal as a bridge does that has not begun to deliver.
func open(ts *testscript.TestScript) *delivery.Delivery {
	base := ts.MkAbs("causeway")
	if strings.HasPrefix(ts.Getenv("DRIVER"), "sqlite3") {
		base = ts.MkAbs("causeway.db")
	}
	d := delivery.New(delivery.Options{
		DB: database.New(connect(ts)), Bridge: quietBridge{}, Exit: func(err error) { ts.Logf("fenced: %v", err) },
		SecretFile: base + ".secret", LockFile: base + ".lock", EpochFile: base + ".epoch",
	})
	ts.Check(d.Open(context.Background()))
	return d
}

// fill stores, in this order: an event that waits, one that is held, one that was set aside, a placeholder and one that was
// shown; a message that waits, one that failed and one that was sent.
func fill(ts *testscript.TestScript) *delivery.Delivery {
	ctx, d := context.Background(), open(ts)
	anna := network.LID("90000000000001")
	for _, id := range []string{"A1", "A2", "A3", "A4", "A5"} {
		ts.Check(d.Inbox.Take(ctx, testLogin, network.MessageEvent{Message: network.Message{
			ID: network.MessageID{Conversation: anna, Sender: anna, ID: id}, Content: network.Text{Body: "the words of " + id},
		}}))
	}
	for _, id := range []string{"B1", "B2", "B3"} {
		_, err := d.Outbox.Accept(ctx, delivery.Outgoing{
			Login: testLogin, NewID: func(seed []byte) string { return "3EB0" + id },
			Event: &event.Event{ID: mxid.EventID("$" + id), RoomID: "!room:localhost", Sender: "@alice:localhost", Type: event.EventMessage},
			Message: network.Message{
				ID:      network.MessageID{Conversation: anna, Sender: network.Interop(network.WhatsApp, 12, "105")},
				Content: network.Text{Body: "the words of " + id},
			},
		})
		ts.Check(err)
	}
	db := connect(ts)
	defer db.Close()
	for _, change := range []string{
		`UPDATE cw_inbox SET state = 'held', hold_until = 9999999999999 WHERE remote_id = 'A2'`,
		`UPDATE cw_inbox SET state = 'quarantined', error_class = 'deadly', deaths = 25, done_at = received_at WHERE remote_id = 'A3'`,
		`UPDATE cw_inbox SET state = 'done', error_class = 'placeholder', done_at = received_at WHERE remote_id = 'A4'`,
		`UPDATE cw_inbox SET state = 'done', done_at = received_at, payload = NULL WHERE remote_id = 'A5'`,
		`UPDATE cw_outbox SET state = 'failed', error_class = 'CW-1201', attempts = 1, done_at = created_at WHERE remote_id = '3EB0B2'`,
		`UPDATE cw_outbox SET state = 'sent', done_at = created_at, payload = NULL WHERE remote_id = '3EB0B3'`,
	} {
		_, err := db.Exec(ctx, change)
		ts.Check(err)
	}
	return d
}
