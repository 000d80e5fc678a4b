package database

import (
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/database/databasetest"
)

// onEngines runs a test on an empty SQLite database, and on an empty PostgreSQL database where there is a server.
func onEngines(t *testing.T, test func(t *testing.T, db *Database)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, place databasetest.Place) { test(t, New(place.Open(t))) })
}

// onUpgraded is onEngines with the newest schema in place.
func onUpgraded(t *testing.T, test func(t *testing.T, db *Database)) {
	t.Helper()
	onEngines(t, func(t *testing.T, db *Database) {
		require.NoError(t, db.Upgrade(t.Context()))
		test(t, db)
	})
}
