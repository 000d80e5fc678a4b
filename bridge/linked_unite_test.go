package bridge

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"

	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// onBridgeTables runs a test on bridgev2's own tables, on SQLite and, where there is one, on PostgreSQL.
func onBridgeTables(t *testing.T, test func(t *testing.T, db *bridgedb.Database)) {
	t.Helper()
	run := func(name, driver, address string) {
		t.Run(name, func(t *testing.T) {
			raw, err := sql.Open(driver, address)
			require.NoError(t, err)
			t.Cleanup(func() { _ = raw.Close() })
			wrapped, err := dbutil.NewWithDB(raw, driver)
			require.NoError(t, err)
			db := bridgedb.New("", bridgedb.MetaTypes{Message: func() any { return &portal.MessageMetadata{} }}, wrapped)
			require.NoError(t, db.Upgrade(zerolog.Nop().WithContext(t.Context())))
			test(t, db)
		})
	}
	path := (&url.URL{Path: filepath.Join(t.TempDir(), "test.db")}).EscapedPath()
	run("sqlite", "sqlite3", "file:"+path+"?_foreign_keys=on&_txlock=immediate")
	if address := os.Getenv("CAUSEWAY_TEST_POSTGRES"); address != "" {
		run("postgres", "pgx", inSchema(t, address))
	}
}

// inSchema is the address of an empty schema of a database.
func inSchema(t *testing.T, address string) string {
	t.Helper()
	schema := "bridge_" + strings.ToLower(rand.Text())
	admin, err := sql.Open("pgx", address)
	require.NoError(t, err)
	_, err = admin.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
		require.NoError(t, err)
		require.NoError(t, admin.Close())
	})
	u, err := url.Parse(address)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

// What a person wrote by number stands under their hidden number afterwards, in direct chats and groups, with what refers to it;
// nobody else's does, and no other login's.
func TestRenamePerson(t *testing.T) {
	onBridgeTables(t, func(t *testing.T, db *bridgedb.Database) {
		ctx := t.Context()
		self, other := network.LID("1"), network.LID("2")
		number, longer, hidden, group := network.Phone("491511"), network.Phone("4915110"), network.LID("90"), network.GroupAddress("120363000000000001")
		for _, person := range []network.Address{self, number, longer, hidden} {
			require.NoError(t, db.Ghost.Insert(ctx, &bridgedb.Ghost{ID: puppet.ID(person), Metadata: map[string]any{}}))
		}
		events := 0
		wrote := func(login, conversation, sender network.Address, bare string, reply *network.MessageID) *bridgedb.Message {
			events++
			message := &bridgedb.Message{
				ID: portal.MessageID(network.MessageID{Conversation: conversation, Sender: sender, ID: bare}), Room: portal.Key(conversation, login),
				MXID: id.EventID(fmt.Sprintf("$%d", events)), SenderID: puppet.ID(sender), Timestamp: time.Now(), Metadata: &portal.MessageMetadata{},
			}
			if reply != nil {
				message.ReplyTo = networkid.MessageOptionalPartID{MessageID: portal.MessageID(*reply)}
			}
			require.NoError(t, db.Message.Insert(ctx, message))
			return message
		}
		for _, login := range []network.Address{self, other} {
			for _, conversation := range []network.Address{number, longer, hidden, group} {
				require.NoError(t, db.Portal.Insert(ctx, &bridgedb.Portal{PortalKey: portal.Key(conversation, login), Metadata: map[string]any{}}))
			}
		}
		asked := network.MessageID{Conversation: number, Sender: number, ID: "A"}
		wrote(self, number, number, "A", nil)
		answered := wrote(self, number, self, "B", &asked)
		wrote(self, group, number, "C", nil)
		wrote(self, longer, longer, "D", nil)
		wrote(self, number, number, "E", nil)
		wrote(self, hidden, hidden, "E", nil)
		wrote(other, number, number, "A", nil)
		require.NoError(t, db.Reaction.Upsert(ctx, &bridgedb.Reaction{
			Room: answered.Room, MessageID: answered.ID, SenderID: puppet.ID(number), MXID: "$reaction", Emoji: "👍", Metadata: map[string]any{},
		}))

		for range 2 {
			require.NoError(t, database.New(db.Database).RenamePerson(ctx, "", self.String(), string(puppet.ID(number)), string(puppet.ID(hidden))))
		}
		find := func(login, conversation, sender network.Address, id string) *bridgedb.Message {
			found, err := db.Message.GetFirstPartByID(ctx, puppet.LoginID(login), portal.MessageID(network.MessageID{Conversation: conversation, Sender: sender, ID: id}))
			require.NoError(t, err)
			return found
		}
		require.Equal(t, puppet.ID(hidden), find(self, hidden, hidden, "A").SenderID)
		answer := find(self, hidden, self, "B")
		require.NotNil(t, answer)
		require.Equal(t, portal.MessageID(network.MessageID{Conversation: hidden, Sender: hidden, ID: "A"}), answer.ReplyTo.MessageID)
		require.Equal(t, puppet.ID(hidden), find(self, group, hidden, "C").SenderID)
		require.NotNil(t, find(self, longer, longer, "D"), "somebody else, whose number begins the same")
		require.NotNil(t, find(self, number, number, "E"), "what is there already is not overwritten")
		require.NotNil(t, find(self, hidden, hidden, "E"))
		require.NotNil(t, find(other, number, number, "A"), "no login changes another's")
		reaction, err := db.Reaction.GetByMXID(ctx, "$reaction")
		require.NoError(t, err)
		require.Equal(t, puppet.ID(hidden), reaction.SenderID)
		require.Equal(t, answer.ID, reaction.MessageID)
	})
}
