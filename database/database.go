// Package database remembers what bridgev2 does not: enlistments and consents,
// the Signal stores of interop logins, and the delivery journal. Rows and
// queries only: it decides nothing, opens no connection of its own (it works on
// the bridge's, so that one commit can cover rows of both) and knows neither
// Matrix nor the wire.
package database

import (
	"context"
	"fmt"

	"go.mau.fi/util/dbutil"

	"causeway/database/upgrades"
)

// versionTable holds the schema version of this package's tables, apart from bridgev2's own.
const versionTable = "cw_version"

// Database is causeway's part of the bridge's database.
type Database struct {
	*dbutil.Database
}

// New wraps the bridge's database. No I/O happens before [Database.Upgrade].
func New(bridge *dbutil.Database) *Database {
	return &Database{Database: bridge.Child(versionTable, upgrades.Table, nil)}
}

// Upgrade brings the schema to the newest version. A schema that is newer than the program is refused.
func (db *Database) Upgrade(ctx context.Context) error {
	if err := db.Database.Upgrade(ctx); err != nil {
		return fmt.Errorf("failed to upgrade causeway's tables: %w", err)
	}
	return nil
}
