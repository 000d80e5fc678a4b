package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.mau.fi/util/dbutil"

	"causeway/database"
	"causeway/delivery"
)

// ErrNoDatabase means that the configured database does not exist yet.
var ErrNoDatabase = errors.New("there is no database yet: start the bridge once")

// OpenLedger opens the journal of the configured database for an operator, beside a running bridge or without one.
// The configuration has been read; of the connector nothing is started. closeDB must be called in the end.
func (c *Connector) OpenLedger(ctx context.Context, config dbutil.Config) (ledger *delivery.Ledger, closeDB func() error, err error) {
	if path := sqlitePath(config); path != "" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%w (%s)", ErrNoDatabase, path)
		}
	}
	db, err := dbutil.NewFromConfig("", config, dbutil.NoopLogger)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to open the database: %w", err)
	}
	files := c.journalFiles(config)
	ledger, err = delivery.OpenLedger(ctx, delivery.Options{DB: database.New(db), SecretFile: files.secret, LockFile: files.lock})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return ledger, db.Close, nil
}
