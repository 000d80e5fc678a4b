package crash

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

const (
	dropLimit = 30 * time.Second
	// bridgeName tells the bridge's connections to the database server from ours.
	bridgeName = "bridge"
)

// database makes what the bridge's database section names.
func (w *world) database(ctx context.Context) (driver, uri string, err error) {
	if w.options.Postgres == "" {
		return "sqlite3-fk-wal-fullsync", "file:causeway.db?_txlock=immediate&_stmt_cache_size=128&_cache_size=-65536", nil
	}
	address, err := url.Parse(w.options.Postgres)
	if err != nil {
		return "", "", fmt.Errorf("failed to read the database's URL: %w", err)
	}
	server, err := sql.Open("pgx", w.options.Postgres)
	if err != nil {
		return "", "", fmt.Errorf("failed to open the database server: %w", err)
	}
	// a database and not a schema: what upgrades a database asks for tables of all schemas in it
	name := "crash_" + strings.ToLower(rand.Text())
	if _, err = server.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", "", errors.Join(fmt.Errorf("failed to make a database: %w", err), server.Close())
	}
	address.Path = "/" + name
	if w.admin, err = sql.Open("pgx", address.String()); err != nil {
		return "", "", errors.Join(fmt.Errorf("failed to open the database: %w", err), server.Close())
	}
	w.dropDB = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
		defer cancel()
		err := w.admin.Close()
		_, err2 := server.ExecContext(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		return errors.Join(err, err2, server.Close())
	}
	query := address.Query()
	query.Set("application_name", bridgeName)
	address.RawQuery = query.Encode()
	return "pgx", address.String(), nil
}
