package bridge

import (
	"fmt"
	"strings"
	"text/template"

	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
)

// tuned are the places where our example departs from the one that comes with
// bridgev2: text there, text here. Each must be found exactly once.
func tuned() [][2]string {
	return [][2]string{
		{
			"    # Allowed values: none, errors, all\n    bridge_status_notices: errors\n",
			"    # Allowed values: none, errors, all. Users are told of refusals in plain words in any case.\n    bridge_status_notices: none\n",
		},
		{
			"    # Should the bridge check the db to ensure that incoming events haven't been handled before\n" +
				"    deduplicate_matrix_messages: false\n",
			"    # Ignored: the journal knows every event by its id, and this would search all of a login's messages for each new one.\n" +
				"    deduplicate_matrix_messages: false\n",
		},
		{
			"    # Should room tags only be synced when creating the portal? Tags mean things like favorite/pin and archive/low priority.\n" +
				"    # Tags currently can't be synced back to the remote network, so a continuous sync means tagging from Matrix will be undone.\n" +
				"    tag_only_on_create: true\n",
			"    # Should room tags only be synced when creating the portal? Tags mean things like favorite/pin and archive/low priority.\n" +
				"    # If false, what is changed on the phone later is followed too.\n" +
				"    tag_only_on_create: false\n",
		},
		{
			"    # Like tags, mutes can't currently be synced back to the remote network.\n    mute_only_on_create: true\n",
			"    # If false, what is changed on the phone later is followed too.\n    mute_only_on_create: false\n",
		},
		{"        \"*\": relay\n        \"example.com\": user\n", "        \"example.com\": user\n"},
		{
			"    # The database type. \"sqlite3-fk-wal\" and \"postgres\" are supported.\n    type: postgres\n",
			"    # The database type: \"sqlite3-fk-wal-fullsync\", \"postgres\", or \"pgx\" (PostgreSQL through a faster driver). Others are\n" +
				"    # refused: what was acknowledged would be lost with the power.\n    type: sqlite3-fk-wal-fullsync\n",
		},
		{
			"    #   SQLite: A raw file path is supported, but `file:<path>?_txlock=immediate` is recommended.\n" +
				"    #           https://github.com/mattn/go-sqlite3#connection-string\n",
			"    #   SQLite: file:<path> with these parameters: _txlock=immediate avoids deadlocks between writers, the\n" +
				"    #           statement cache and 64 MiB of page cache at most for each connection make it faster.\n",
		},
		{
			"    uri: postgres://user:password@host/database?sslmode=disable\n",
			"    uri: file:causeway.db?_txlock=immediate&_stmt_cache_size=128&_cache_size=-65536\n",
		},
		{
			"    # Maximum number of connections.\n    max_open_conns: 5\n    max_idle_conns: 1\n",
			"    # Maximum number of connections. Idle ones are kept: opening one costs more than keeping it.\n" +
				"    max_open_conns: 5\n    max_idle_conns: 5\n",
		},
		{"        avatar: \n", "        avatar: \"\"\n"},
		{
			"    # Whether the bridge should send a read receipt after successfully bridging a message.\n",
			"    # Whether the bridge should send a read receipt after successfully bridging a message. That would say \"sent\" with\n" +
				"    # the same mark that says \"delivered\" here, see network -> receipts -> delivery.\n",
		},
		{
			"    min_level: debug\n    writers:\n        - type: stdout\n          format: pretty-colored\n        - type: file\n" +
				"          format: json\n          filename: ./logs/bridge.log\n          max_size: 100\n          max_backups: 10\n" +
				"          compress: false",
			"    # debug writes several lines for each message.\n    min_level: info\n    writers:\n        - type: stdout\n          format: json",
		},
	}
}

// Example is the whole example configuration, ours and bridgev2's, with the
// defaults that a bridge of this kind should have.
func (c *Connector) Example() (string, error) {
	base, err := template.New("example").Delims("$<<", ">>").Parse(mxmain.MatrixExampleConfigBase)
	if err != nil {
		return "", fmt.Errorf("failed to read bridgev2's example: %w", err)
	}
	var out strings.Builder
	out.WriteString("# The networks.\nnetwork:\n")
	for line := range strings.SplitSeq(strings.TrimSuffix(networkExample, "\n"), "\n") {
		if line != "" {
			out.WriteString("    " + line)
		}
		out.WriteByte('\n')
	}
	out.WriteByte('\n')
	if err = base.Execute(&out, c.GetName()); err != nil {
		return "", fmt.Errorf("failed to fill in bridgev2's example: %w", err)
	}
	text := out.String()
	for _, change := range tuned() {
		if strings.Count(text, change[0]) != 1 {
			return "", fmt.Errorf("failed to tune bridgev2's example: it has changed around %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	return strings.TrimSuffix(text, "\n") + "\n", nil
}
