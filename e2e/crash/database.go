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

const dropLimit = 30 * time.Second

// database makes what the bridge's database section names.
func (w *world) database(ctx context.Context) (driver, uri string, err error) {
	if w.options.Postgres == "" {
		return "sqlite3-fk-wal-fullsync", "file:causeway.db?_txlock=immediate&_stmt_cache_size=128&_cache_size=-65536", nil
	}
	address, err := url.Parse(w.options.Postgres)
	if err != nil {
		return "", "", fmt.Errorf("failed to read the database's URL: %w", err)
	}
	admin, err := sql.Open("pgx", w.options.Postgres)
	if err != nil {
		return "", "", fmt.Errorf("failed to open the database: %w", err)
	}
	schema := "crash_" + strings.ToLower(rand.Text())
	if _, err = admin.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
		return "", "", errors.Join(fmt.Errorf("failed to make a schema: %w", err), admin.Close())
	}
	w.admin, w.schema = admin, schema
	w.dropDB = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
		defer cancel()
		_, err := admin.ExecContext(ctx, "DROP SCHEMA "+schema+" CASCADE")
		return errors.Join(err, admin.Close())
	}
	query := address.Query()
	query.Set("search_path", schema)
	query.Set("application_name", schema)
	address.RawQuery = query.Encode()
	return "pgx", address.String(), nil
}
