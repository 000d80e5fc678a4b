// Command crash kills the bridge again and again while people talk through it, and says whether
// every message has arrived once, in order, in the right place and from the right person.
//
// It builds the bridge with failpoints, and runs it against the small homeserver and the simulated
// network. The exit status is 0 only if nothing was wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"causeway/e2e/crash"
	"causeway/e2e/crash/checker"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

// postgresEnv names the variable with the URL of a PostgreSQL server for tests.
const postgresEnv = "CAUSEWAY_TEST_POSTGRES"

const detailsShown = 20

var errBad = errors.New("not every message has arrived as it should")

// flags are what the command line says.
type flags struct {
	points, faults, database, profile, dir, again, control, flow string
	lines, randomLines, kills, faultLines                        int
	limit, patience, lasts                                       time.Duration
	rate                                                         float64
	seed                                                         uint64
	forget                                                       bool
}

func main() {
	var f flags
	flag.StringVar(&f.points, "failpoints", "all", "where the bridge dies: all, none, or names separated by commas")
	flag.IntVar(&f.lines, "messages", 20, "messages for each failpoint")
	flag.StringVar(&f.faults, "faults", "none", "what else goes wrong, after the failpoints: all, none, or names or sides (homeserver, network, local) separated by commas")
	flag.DurationVar(&f.lasts, "lasts", 20*time.Second, "how long each fault lasts")
	flag.IntVar(&f.faultLines, "fault-messages", 2000, "messages for each fault, both ways together")
	flag.IntVar(&f.kills, "kills", 0, "kills at random moments, after the failpoints")
	flag.IntVar(&f.randomLines, "random-messages", 0, "messages while the bridge is killed at random moments; 70 for each kill if 0")
	flag.DurationVar(&f.limit, "limit", time.Hour, "how long all of it may take")
	flag.DurationVar(&f.patience, "patience", time.Minute, "how long nothing may appear before what is missing is lost")
	flag.Float64Var(&f.rate, "rate", 40, "messages a second")
	flag.Uint64Var(&f.seed, "seed", 0, "seed of the moments and of the network; 0 takes the clock")
	flag.StringVar(&f.database, "database", "both", "sqlite, postgres (at "+postgresEnv+"), or both; without that variable both is sqlite")
	flag.StringVar(&f.profile, "profile", string(meta.Faults), "how much the network misbehaves: calm, timing or faults")
	flag.StringVar(&f.flow, "flow", string(crash.WhatsApp), fmt.Sprintf("how users log in: one of %q", crash.Flows()))
	flag.StringVar(&f.dir, "dir", "", "where records and logs are kept; a folder that is removed after a good run if empty")
	flag.BoolVar(&f.forget, "forget", true, "the homeserver forgets transaction ids at each kill")
	flag.StringVar(&f.control, "control", "", fmt.Sprintf("take a means away, and expect the run to be bad: one of %q", crash.Controls()))
	flag.StringVar(&f.again, "check", "", "judge this record of an earlier run and do nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	if f.again != "" {
		return again(f.again)
	}
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	profile, err := meta.ParseProfile(f.profile)
	if err != nil {
		return err
	}
	if f.control != "" && !slices.Contains(crash.Controls(), crash.Control(f.control)) {
		return fmt.Errorf("unknown control %q: want one of %q", f.control, crash.Controls())
	}
	if !slices.Contains(crash.Flows(), crash.Flow(f.flow)) {
		return fmt.Errorf("unknown flow %q: want one of %q", f.flow, crash.Flows())
	}
	urls, err := databases(f.database)
	if err != nil {
		return err
	}
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano())
	}
	dir, err := folder(f.dir)
	if err != nil {
		return err
	}
	binary := filepath.Join(dir, "causeway")
	if err = stage.BuildBreakable(ctx, binary); err != nil {
		return err
	}
	var group sync.WaitGroup // a bad run on one database says nothing of the other
	var printing sync.Mutex
	failures := make([]error, len(urls))
	for i, url := range urls {
		name := "sqlite"
		if url != "" {
			name = "postgres"
		}
		options := crash.Options{
			Binary: binary, Dir: filepath.Join(dir, name), Seed: f.seed, Flow: crash.Flow(f.flow), Profile: profile, Postgres: url,
			Rate: f.rate, Patience: f.patience, Forget: f.forget, Control: crash.Control(f.control),
			Log: prefixed{name + " ", os.Stdout},
		}
		played, err := phases(f, name)
		if err != nil {
			return err
		}
		group.Go(func() { failures[i] = one(ctx, name, options, played, &printing) })
	}
	group.Wait()
	if err = errors.Join(failures...); err != nil {
		return fmt.Errorf("%w; seed %d, files in %s", err, f.seed, dir)
	}
	if f.dir == "" {
		return os.RemoveAll(dir)
	}
	return nil
}

// one runs everything on one database and prints the verdict.
func one(ctx context.Context, name string, options crash.Options, phases []crash.Phase, printing *sync.Mutex) error {
	fmt.Fprintf(options.Log, "%s, network %s, seed %d\n", options.Flow, options.Profile, options.Seed)
	if err := os.Mkdir(options.Dir, 0o700); err != nil {
		return fmt.Errorf("failed to make a folder: %w", err)
	}
	result, err := crash.Run(ctx, options, phases)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Printf("\n%s\n", name)
	result.Verdict.Print(os.Stdout, detailsShown)
	kills := 0
	for _, count := range result.Kills {
		kills += count
	}
	fmt.Printf("%s: %d kills in %.0f s (%s); %d lines were not accepted\n", name, kills, result.Took.Seconds(), killed(result.Kills), result.Refused)
	if all := result.Recoveries; len(all) > 0 {
		fmt.Printf("first line after a start: median %.2f s, slowest %.2f s of %d\n", all[len(all)/2].Seconds(), all[len(all)-1].Seconds(), len(all))
	}
	for _, problem := range result.Problems {
		fmt.Println("problem:", problem)
	}
	if !result.OK() {
		return errBad
	}
	return nil
}

// prefixed puts a name before each line of progress.
type prefixed struct {
	name string
	out  io.Writer
}

// Write implements [io.Writer]; it is given whole lines.
func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.out.Write(append([]byte(p.name), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// killed spells how often the bridge died in each phase.
func killed(kills map[string]int) string {
	var parts []string
	for _, phase := range slices.Sorted(maps.Keys(kills)) {
		parts = append(parts, fmt.Sprintf("%s %d", phase, kills[phase]))
	}
	return strings.Join(parts, ", ")
}

func again(path string) error {
	record, err := crash.Load(path)
	if err != nil {
		return err
	}
	verdict := checker.Check(record)
	verdict.Print(os.Stdout, detailsShown)
	if !verdict.OK() {
		return errBad
	}
	return nil
}

func phases(f flags, engine string) (phases []crash.Phase, err error) {
	switch f.points {
	case "all":
		phases = crash.AtPoints(crash.Points(crash.Flow(f.flow)), f.lines)
	case "none", "":
	default:
		phases = crash.AtPoints(strings.Split(f.points, ","), f.lines)
	}
	switch f.faults {
	case "none", "":
	default:
		var names []string
		if f.faults != "all" {
			names = strings.Split(f.faults, ",")
		}
		faults, err := crash.FaultsOf(engine, names...)
		if err != nil {
			return nil, err
		}
		phases = append(phases, crash.AtFaults(faults, f.faultLines, f.lasts)...)
	}
	if f.kills > 0 {
		const linesAKill = 70
		if f.randomLines == 0 {
			f.randomLines = linesAKill * f.kills
		}
		phases = append(phases, crash.Phase{Name: crash.Anywhere, Lines: f.randomLines, Kills: f.kills})
	}
	return phases, nil
}

func databases(which string) (urls []string, err error) {
	postgres := os.Getenv(postgresEnv)
	switch {
	case which == "sqlite":
		return []string{""}, nil
	case which == "both" && postgres == "":
		fmt.Println("SQLite alone: " + postgresEnv + " is not set")
		return []string{""}, nil
	case which == "both":
		return []string{"", postgres}, nil
	case which == "postgres" && postgres != "":
		return []string{postgres}, nil
	}
	return nil, fmt.Errorf("failed to choose the database %q: want sqlite, postgres or both, and %s set for PostgreSQL", which, postgresEnv)
}

// folder makes the folder for everything that a run leaves.
func folder(path string) (string, error) {
	if path == "" {
		dir, err := os.MkdirTemp("", "causeway-crash-")
		if err != nil {
			return "", fmt.Errorf("failed to make a folder: %w", err)
		}
		return dir, nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("failed to make a folder: %w", err)
	}
	return filepath.Abs(path)
}
