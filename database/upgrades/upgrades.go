// Package upgrades is the history of the schema: numbered SQL files, append-only,
// each valid for SQLite and PostgreSQL alike.
package upgrades

import (
	"embed"

	"go.mau.fi/util/dbutil"
)

//go:embed *.sql
var files embed.FS

// Table is the chain of upgrades from an empty database to the newest schema.
var Table = dbutil.BuildUpgradeTable().WithFS(files).Finish()
