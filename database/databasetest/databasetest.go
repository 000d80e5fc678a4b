// Package databasetest gives tests empty databases: a file of SQLite's, and a database of their own on the PostgreSQL
// server at CAUSEWAY_TEST_POSTGRES. It knows nothing of what is in them.
package databasetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
	_ "go.mau.fi/util/dbutil/litestream" // the driver "sqlite3-fk-wal-fullsync"
)

// PostgresEnv names the environment variable with the URL of a database on a server where databases may be made.
const PostgresEnv = "CAUSEWAY_TEST_POSTGRES"

// Place is where a database lies, as the bridge's configuration says it. It can be opened again and again.
type Place struct{ Driver, URI string }

// SQLite is the place of a file in a folder.
func SQLite(dir string) Place {
	// A test's folder may have a # in its name.
	path := (&url.URL{Path: filepath.Join(dir, "test.db")}).EscapedPath()
	return Place{Driver: "sqlite3-fk-wal-fullsync", URI: "file:" + path + "?_txlock=immediate"}
}

// Postgres is an empty database, dropped when the test ends; ok is false where no server is named. It is a database and
// not a schema, because what upgrades a database asks for tables of all schemas in it.
func Postgres(t testing.TB) (place Place, ok bool) {
	t.Helper()
	server := os.Getenv(PostgresEnv)
	if server == "" {
		return Place{}, false
	}
	address, err := url.Parse(server)
	require.NoError(t, err)
	admin, err := sql.Open("pgx", server)
	require.NoError(t, err)
	name := "test_" + strings.ToLower(rand.Text())
	_, err = admin.ExecContext(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
		require.NoError(t, admin.Close())
	})
	address.Path = "/" + name
	return Place{Driver: "pgx", URI: address.String()}, true
}

// Each runs a test on both, the second where there is a server.
func Each(t *testing.T, test func(t *testing.T, place Place)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t.TempDir())) })
	if os.Getenv(PostgresEnv) != "" {
		t.Run("postgres", func(t *testing.T) {
			place, _ := Postgres(t)
			test(t, place)
		})
	}
}

// Open opens a place until the test ends.
func (p Place) Open(t testing.TB) *dbutil.Database {
	t.Helper()
	db, err := dbutil.NewWithDialect(p.URI, p.Driver)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() }) // a test may have closed it
	return db
}
