package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
)

// onEngines runs a test on an empty SQLite database, and on an empty PostgreSQL
// schema when CAUSEWAY_TEST_POSTGRES holds the URL of a database.
func onEngines(t *testing.T, test func(t *testing.T, db *Database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, New(openSQLite(t))) })
	if address := os.Getenv("CAUSEWAY_TEST_POSTGRES"); address != "" {
		t.Run("postgres", func(t *testing.T) { test(t, New(openPostgres(t, address))) })
	}
}

// onUpgraded is onEngines with the newest schema in place.
func onUpgraded(t *testing.T, test func(t *testing.T, db *Database)) {
	t.Helper()
	onEngines(t, func(t *testing.T, db *Database) {
		require.NoError(t, db.Upgrade(t.Context()))
		test(t, db)
	})
}

func openSQLite(t *testing.T) *dbutil.Database {
	t.Helper()
	// A test's folder may have a # in its name.
	path := (&url.URL{Path: filepath.Join(t.TempDir(), "test.db")}).EscapedPath()
	raw, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on&_journal_mode=WAL&_txlock=immediate&_busy_timeout=5000")
	require.NoError(t, err)
	return wrap(t, raw, "sqlite3")
}

func openPostgres(t *testing.T, address string) *dbutil.Database {
	t.Helper()
	schema := "test_" + strings.ToLower(rand.Text())
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
	raw, err := sql.Open("pgx", u.String())
	require.NoError(t, err)
	return wrap(t, raw, "pgx")
}

func wrap(t *testing.T, raw *sql.DB, dialect string) *dbutil.Database {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	db, err := dbutil.NewWithDB(raw, dialect)
	require.NoError(t, err)
	return db
}
