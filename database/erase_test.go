package database

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
)

// keepsNobody are the tables that an erasure leaves alone, each with the reason. A table that is not here has to be
// empty of an erased person, whatever it is called.
func keepsNobody() map[string]string {
	return map[string]string{
		"cw_version":       "the version of the schema",
		"cw_instance":      "this process",
		"cw_consent":       "of a consent stay version, times and a hash, which the test looks at by itself",
		"cw_mx_todevice":   "encrypted keys on their way to the bridge's own device; the content goes when they are handled, the hash a month later",
		"cw_mx_latest":     "how many keys the bridge's own device has left, and whose devices have changed; handled at once",
		"cw_push_delivery": "ids of calls, which say nothing of whom they were about",
	}
}

// tableColumns are all columns of all tables, by table, with their types.
func tableColumns(t *testing.T, db *Database) map[string]map[string]string {
	t.Helper()
	query := `SELECT m.name || ' ' || c.name || ' ' || c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type='table' AND m.name NOT LIKE 'sqlite_%'`
	if db.Dialect == dbutil.Postgres {
		query = `SELECT table_name || ' ' || column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema=current_schema()`
	}
	rows, err := db.Query(t.Context(), query)
	lines, err := dbutil.NewRowIterWithError(rows, dbutil.ScanSingleColumn[string], err).AsList()
	require.NoError(t, err)
	tables := make(map[string]map[string]string)
	for _, line := range lines {
		table, rest, _ := strings.Cut(line, " ")
		column, kind, _ := strings.Cut(rest, " ")
		if tables[table] == nil {
			tables[table] = make(map[string]string)
		}
		tables[table][column] = strings.ToLower(kind)
	}
	return tables
}

// mark is in all that a table can say of the person whom the test erases.
const mark = "105012705411308"

// personRow is a row about a person, made of the columns alone: so that a new table gets one without this test being changed.
func personRow(login, room string, columns map[string]string) map[string]any {
	row := make(map[string]any)
	for column, kind := range columns {
		switch {
		case column == "login_id" || column == "receiver":
			row[column] = login
		case column == "user_mxid":
			row[column] = "@" + mark + ":example.eu"
		case column == "room_id":
			row[column] = room
		case column == "state":
			row[column] = "done"
		case column == "consent_id":
			row[column] = "c_1"
		case column == "status":
			row[column] = "withdrawn"
		case kind == "text":
			row[column] = column + " of " + mark
		case kind == "bytea":
			row[column] = []byte("sealed, of " + mark)
		case kind == "boolean":
			row[column] = true
		default:
			row[column] = 1
		}
	}
	return row
}

func insert(t *testing.T, db *Database, table string, row map[string]any) {
	t.Helper()
	columns := slices.Sorted(maps.Keys(row))
	var values []any
	var places []string
	for i, column := range columns {
		values, places = append(values, row[column]), append(places, fmt.Sprintf("$%d", i+1))
	}
	_, err := db.Exec(t.Context(), "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES ("+strings.Join(places, ", ")+")", values...)
	require.NoError(t, err, table)
}

// tracesOf are the tables and columns in which a text stands.
func tracesOf(t *testing.T, db *Database, text string) (found []string) {
	t.Helper()
	for table, columns := range tableColumns(t, db) {
		for column, kind := range columns {
			if kind != "text" && kind != "bytea" {
				continue
			}
			value := `CAST("` + column + `" AS TEXT)`
			if db.Dialect == dbutil.Postgres && kind == "bytea" {
				value = `encode("` + column + `", 'escape')`
			}
			var count int
			require.NoError(t, db.QueryRow(t.Context(), `SELECT COUNT(*) FROM "`+table+`" WHERE `+value+` LIKE $1`, "%"+text+"%").Scan(&count))
			if count > 0 {
				found = append(found, table+"."+column)
			}
		}
	}
	slices.Sort(found)
	return found
}

// Every table that can hold something of a person is empty of them once they are erased: the test fills each table that there is.
func TestErasureReachesEveryTable(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		const login, room = "whatsapp-interop-12-" + mark, "!room-" + mark
		for _, table := range []string{"CREATE TABLE ghost (id TEXT)", "CREATE TABLE kv_store (key TEXT, value TEXT)"} { // bridgev2's, as far as they matter
			_, err := db.Exec(t.Context(), table)
			require.NoError(t, err)
		}
		tables := tableColumns(t, db)
		insert(t, db, "ghost", map[string]any{"id": login})
		insert(t, db, "kv_store", map[string]any{"key": "owner_" + login, "value": "@" + mark + ":example.eu"})
		first := []string{"cw_consent", "cw_enlistment", "cw_linked"} // others refer to them
		var filled int
		for _, table := range append(first, slices.DeleteFunc(slices.Sorted(maps.Keys(tables)), func(table string) bool { return slices.Contains(first, table) })...) {
			if _, exempt := keepsNobody()[table]; !strings.HasPrefix(table, "cw_") || table != "cw_consent" && exempt {
				continue
			}
			row := personRow(login, room, tables[table])
			if table == "cw_consent" {
				row["id"] = "c_1"
			}
			if table == "cw_outbox" {
				row["state"] = "sent"
			}
			insert(t, db, table, row)
			filled++
		}
		require.Greater(t, filled, 18)
		owned, err := db.OwnedBy(t.Context(), "owner_", "@"+mark+":example.eu")
		require.NoError(t, err)
		require.Equal(t, []string{login}, owned)
		counted, err := db.RowsOf(t.Context(), login)
		require.NoError(t, err)

		require.NoError(t, db.EraseLogin(t.Context(), login, []string{room}))
		require.NoError(t, db.EraseUser(t.Context(), "@"+mark+":example.eu", "withdrawn"))
		traces := slices.DeleteFunc(tracesOf(t, db, mark), func(place string) bool {
			return strings.HasPrefix(place, "cw_consent.terms_version") || strings.HasPrefix(place, "cw_consent.network")
		})
		require.Empty(t, traces)
		after, err := db.RowsOf(t.Context(), login)
		require.NoError(t, err)
		require.Empty(t, after)
		for table, columns := range tables { // what an export counts is what there is
			if _, about := columns["login_id"]; about && table != "cw_enlistment" {
				require.Equal(t, 1, counted[table], "not in an export: %s", table)
			}
		}
		for table := range keepsNobody() {
			require.Contains(t, tables, table, "a reason for a table that there is not")
		}
	})
}
