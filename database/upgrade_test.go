package database

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
)

// firstSchema is the schema of version 1 as it was frozen; it never changes.
const firstSchema = "testdata/schema-v1.sql"

const (
	sqliteSchemaQuery = `
		SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || c.pk || ' ' || COALESCE(c.dflt_value, '')
		FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type='table' AND m.name LIKE 'cw_%'
		UNION ALL SELECT name || ' on ' || tbl_name || ' ' || COALESCE(sql, '') FROM sqlite_master WHERE type='index' AND tbl_name LIKE 'cw_%'
		ORDER BY 1`
	postgresSchemaQuery = `
		SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(column_default, '')
		FROM information_schema.columns WHERE table_schema=current_schema() AND table_name LIKE 'cw_%'
		UNION ALL SELECT replace(indexdef, current_schema() || '.', '') FROM pg_indexes WHERE schemaname=current_schema() AND tablename LIKE 'cw_%'
		ORDER BY 1`
)

func schema(t *testing.T, db *Database) []string {
	t.Helper()
	query := sqliteSchemaQuery
	if db.Dialect == dbutil.Postgres {
		query = postgresSchemaQuery
	}
	rows, err := db.Query(t.Context(), query)
	lines, err := dbutil.NewRowIterWithError(rows, dbutil.ScanSingleColumn[string], err).AsList()
	require.NoError(t, err)
	require.NotEmpty(t, lines)
	return lines
}

// An old database ends up with the same schema as a new one, and keeps its rows.
func TestUpgradeFromFirstSchema(t *testing.T) {
	fresh := map[dbutil.Dialect][]string{}
	onUpgraded(t, func(t *testing.T, db *Database) { fresh[db.Dialect] = schema(t, db) })

	onEngines(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		frozen, err := os.ReadFile(firstSchema)
		require.NoError(t, err)
		for _, statement := range []string{
			string(frozen),
			"CREATE TABLE " + versionTable + " (version INTEGER, compat INTEGER)",
			"INSERT INTO " + versionTable + " (version, compat) VALUES (1, 1)",
			`INSERT INTO cw_consent VALUES ('c_1', '@alice:example.eu', 'whatsapp', '1', 'be careful', 'DE', 1, 2, NULL)`,
			`INSERT INTO cw_enlistment VALUES ('whatsapp-interop-12-105', 'e_1', '@alice:example.eu', 'whatsapp', 12, '105', 'u_1',
				'email', 'alice@example.eu', 'Alice', 'abc', 'active', '', 'c_1', 3, 4)`,
		} {
			_, err := db.Exec(ctx, statement)
			require.NoError(t, err, statement)
		}

		require.NoError(t, db.Upgrade(ctx))

		require.Equal(t, fresh[db.Dialect], schema(t, db))
		enlistment, err := db.Enlistment(ctx, "whatsapp-interop-12-105")
		require.NoError(t, err)
		require.Equal(t, "alice@example.eu", enlistment.Identifier)
		consent, err := db.Consent(ctx, enlistment.ConsentID)
		require.NoError(t, err)
		require.True(t, consent.Current())
	})
}

func TestUpgradeTwiceChangesNothing(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		before := schema(t, db)
		require.NoError(t, db.Upgrade(t.Context()))
		require.Equal(t, before, schema(t, db))
	})
}

// A database of a newer program is left alone.
func TestUpgradeRefusesNewerSchema(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		_, err := db.Exec(t.Context(), "UPDATE "+versionTable+" SET version=999, compat=999")
		require.NoError(t, err)
		require.Error(t, db.Upgrade(t.Context()))
	})
}
