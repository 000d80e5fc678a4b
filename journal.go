package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	flag "maunium.net/go/mauflag"

	"causeway/bridge"
	"causeway/database"
	"causeway/delivery"
)

// journalCommand is the subcommand for the journal.
const journalCommand = "journal"

const journalUsage = `causeway journal - what waits between the networks and Matrix, and what has failed

  causeway journal list             rows that wait or have failed; the content of messages is never shown
  causeway journal list --all       also those that have ended well
  causeway journal show ROW...      all that is known of rows
  causeway journal retry ROW...     try rows again that have failed, were set aside or are held back
  causeway journal retry --failed   all of those that have failed or were set aside
  causeway journal drop ROW...      give rows up for good

  -c, --config PATH   the configuration (config.yaml)
  --way WAY           only one way: in (network to Matrix), out (Matrix to network), matrix (homeserver to bridge)
  --login ID          only one login
  --limit N           at most the newest N rows (200)
  --content           show the content of messages too, decrypted: people's words

It works beside a running bridge. A row that is on its way can be dropped only while the bridge is stopped.
`

// journalOptions are what follows the subcommand.
type journalOptions struct {
	verb, config, way, login string
	limit                    int
	all, failed, content     bool
	rows                     []int64
}

// errUsage says that a command line makes no sense.
var errUsage = errors.New("see causeway journal --help")

// journal runs the subcommand and returns the exit status.
func journal(connector *bridge.Connector, args []string) int {
	options, help, err := journalArgs(args)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "causeway journal: %v\n", err)
		return exitUsage
	case help:
		fmt.Print(journalUsage)
		return 0
	}
	if err = runJournal(context.Background(), connector, options, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "causeway journal: %s\n", journalError(err))
		return exitUsage
	}
	return 0
}

func journalArgs(args []string) (o journalOptions, help bool, err error) {
	set := flag.New(args)
	config := set.MakeFull("c", "config", "", "config.yaml").String()
	way, login := set.Make().LongKey("way").String(), set.Make().LongKey("login").String()
	limit := set.Make().LongKey("limit").Default("200").Int()
	all, failed := set.Make().LongKey("all").Default("false").Bool(), set.Make().LongKey("failed").Default("false").Bool()
	content := set.Make().LongKey("content").Default("false").Bool()
	wantHelp := set.MakeFull("h", "help", "", "false").Bool()
	if err = set.Parse(); err != nil {
		return o, false, fmt.Errorf("%w; %w", err, errUsage)
	}
	if *wantHelp || set.NArg() == 0 {
		return o, true, nil
	}
	o = journalOptions{verb: set.Arg(0), config: *config, way: *way, login: *login, limit: *limit, all: *all, failed: *failed, content: *content}
	for _, text := range set.Args()[1:] {
		row, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return o, false, fmt.Errorf("%q is not the number of a row; %w", text, errUsage)
		}
		o.rows = append(o.rows, row)
	}
	return o, false, o.check()
}

func (o journalOptions) check() error {
	var need bool
	switch o.verb {
	case "list":
		if len(o.rows) > 0 {
			return fmt.Errorf("list takes no rows: use show; %w", errUsage)
		}
	case "retry":
		need = !o.failed
	case "show", "drop":
		need = true
	default:
		return fmt.Errorf("unknown command %q; %w", o.verb, errUsage)
	}
	switch {
	case need && len(o.rows) == 0:
		return fmt.Errorf("%s which row? %w", o.verb, errUsage)
	case o.limit < 1:
		return fmt.Errorf("--limit must be at least 1; %w", errUsage)
	}
	switch database.Way(o.way) {
	case "", database.WayIn, database.WayOut, database.WayMatrix:
		return nil
	}
	return fmt.Errorf("--way must be in, out or matrix; %w", errUsage)
}

func runJournal(ctx context.Context, connector *bridge.Connector, o journalOptions, out io.Writer) (err error) {
	program := newProgram(connector)
	program.ConfigPath = o.config
	program.LoadConfig() // ends the program with a sentence if it cannot; it does not write, as SaveConfig is not set
	connector.StateDir = filepath.Dir(o.config)
	ledger, closeDB, err := connector.OpenLedger(ctx, program.Config.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()
	switch o.verb {
	case "list":
		return listRows(ctx, ledger, o, out)
	case "show":
		return eachRow(ctx, ledger, o.rows, func(entry database.Entry) error { return showRow(ctx, ledger, entry, o.content, out) })
	case "retry":
		return retryRows(ctx, ledger, o, out)
	}
	return eachRow(ctx, ledger, o.rows, func(entry database.Entry) error {
		if err := ledger.Drop(ctx, entry, bridge.DroppedCode()); err != nil {
			return err
		}
		fmt.Fprintf(out, "Row %d is given up.\n", entry.Seq)
		return nil
	})
}

// eachRow goes through all rows and tells all errors, each with its row.
func eachRow(ctx context.Context, ledger *delivery.Ledger, rows []int64, do func(database.Entry) error) error {
	var errs []error
	for _, seq := range rows {
		entry, err := ledger.Show(ctx, seq)
		if err == nil {
			err = do(entry)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("row %d: %w", seq, err))
		}
	}
	return errors.Join(errs...)
}

func retryRows(ctx context.Context, ledger *delivery.Ledger, o journalOptions, out io.Writer) error {
	if o.failed {
		entries, err := ledger.List(ctx, database.Entries{Troubled: true, Way: database.Way(o.way), Login: o.login, Limit: o.limit})
		if err != nil {
			return err
		}
		for _, entry := range entries {
			o.rows = append(o.rows, entry.Seq)
		}
	}
	running, err := ledger.Running(ctx)
	if err != nil {
		return err
	}
	when := "with the next start of the bridge"
	if running {
		when = "by the running bridge within seconds"
	}
	if len(o.rows) == 0 {
		fmt.Fprintln(out, "Nothing has failed that could be tried again.")
	}
	return eachRow(ctx, ledger, o.rows, func(entry database.Entry) error {
		if err := ledger.Retry(ctx, entry); err != nil {
			return err
		}
		fmt.Fprintf(out, "Row %d is tried again %s.\n", entry.Seq, when)
		return nil
	})
}

// journalError puts what the packages below say into words for the operator.
func journalError(err error) string {
	for _, known := range []struct {
		is   error
		text string
	}{
		{delivery.ErrNotCurrent, "this database is of another version of the program: start the bridge of this version once, or use the journal command of the one that runs"},
	} {
		if errors.Is(err, known.is) {
			return known.text
		}
	}
	return err.Error()
}

// age is how long ago a time was, in one unit.
func age(now time.Time, ms int64) string {
	if ms == 0 {
		return "-"
	}
	switch d := now.Sub(time.UnixMilli(ms)); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}
