// Command causeway is a Matrix application service for third-party chats with
// WhatsApp and Messenger users under the Digital Markets Act.
//
// This package is the door: it answers what can be answered without starting,
// and otherwise puts bridgev2's program and package bridge together. Everything
// that the bridge knows is in the packages below.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // database.type: pgx
	"github.com/rs/zerolog"
	flag "maunium.net/go/mauflag"
	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"

	"causeway/bridge"
)

// Version is the newest release.
const Version = "0.1.0"

// What the build knows of itself: go build -ldflags "-X main.Tag=… -X main.Commit=… -X main.BuildTime=…".
var (
	Tag       = "unknown"
	Commit    = "unknown"
	BuildTime = "unknown"
)

// The flags that let the program start on a restored database, and without the instance secret that the database belongs to.
const (
	acceptRestore   = "accept-restore"
	acceptNewSecret = "accept-new-secret"
)

const (
	exitUsage  = 1
	exitConfig = 11
)

func main() {
	connector := bridge.New()
	args := parseArgs(os.Args[1:])
	if args.example {
		os.Exit(writeExample(connector, args.config))
	}
	if len(os.Args) > 1 && os.Args[1] == journalCommand {
		os.Exit(journal(connector, os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] != "" && os.Args[1][0] != '-' {
		fmt.Fprintf(os.Stderr, "causeway: unknown command %q; see causeway --help\n", os.Args[1])
		os.Exit(exitUsage)
	}
	if args.register {
		if status, done := register(connector, args); done {
			os.Exit(status)
		}
	}
	if args.start {
		if err := checkFiles(os.Stderr, args.config, args.registration); err != nil {
			fmt.Fprintf(os.Stderr, "causeway: %v\n", err)
			os.Exit(exitConfig)
		}
	}
	run(connector)
}

func newProgram(connector *bridge.Connector) *mxmain.BridgeMain {
	return &mxmain.BridgeMain{
		Name:        "causeway",
		Description: "A Matrix bridge for third-party chats with WhatsApp and Messenger users.",
		Version:     Version,
		Connector:   connector,
	}
}

func run(connector *bridge.Connector) {
	// database, journal, keys: nothing that the bridge writes is for others
	syscall.Umask(0o077)
	program := newProgram(connector)
	accept := flag.Make().LongKey(acceptRestore).Default("false").
		Usage("Start although the database was restored from a backup; all encrypted sessions begin anew").Bool()
	newSecret := flag.Make().LongKey(acceptNewSecret).Default("false").
		Usage("Start although the instance secret is lost; messages that wait cannot be read any more and are given up").Bool()
	program.PostInit = func() {
		connector.AcceptRestore, connector.AcceptNewSecret = *accept, *newSecret
		connector.StateDir = filepath.Dir(program.ConfigPath)
		if err := bridge.Compose(program); err != nil {
			fmt.Fprintf(os.Stderr, "Configuration error:\n%v\n", err)
			os.Exit(exitConfig)
		}
	}
	program.InitVersion(Tag, Commit, BuildTime)
	connector.Software = program.Name + "/" + program.Version
	connector.Build = Version + " " + Commit
	// what program.Run does, with one step of our own
	program.PreInit()
	bridge.ChooseDriver(&program.Config.Database)
	program.Init()
	removeTemporary, err := bridge.OwnTemporary()
	if err != nil {
		program.Log.WithLevel(zerolog.FatalLevel).Err(err).Msg("The bridge cannot start")
		os.Exit(exitConfig)
	}
	program.Start()
	status := program.WaitForInterrupt()
	program.Stop()
	if err = removeTemporary(); err != nil {
		program.Log.Warn().Err(err).Msg("Temporary files are left over")
	}
	os.Exit(status)
}

// asked is what the arguments ask for, as far as it is answered here.
type asked struct {
	config, registration string
	// example asks for an example configuration, and nothing else comes first. bridgev2 has the same flag, and
	// no way to change the defaults of what it writes.
	example bool
	// register asks for a registration, noUpdate for a configuration that is left alone.
	register, noUpdate bool
	// start asks for the bridge to run.
	start bool
}

func parseArgs(args []string) asked {
	set := flag.New(append([]string{"causeway"}, args...))
	config := set.MakeFull("c", "config", "", "config.yaml").String()
	example := set.MakeFull("e", "generate-example-config", "", "false").Bool()
	registration := set.MakeFull("r", "registration", "", "registration.yaml").String()
	first := []*bool{
		set.MakeFull("v", "version", "", "false").Bool(),
		set.MakeFull("h", "help", "", "false").Bool(),
		set.Make().LongKey("version-json").Default("false").Bool(),
	}
	for _, other := range []string{
		"ignore-unsupported-database", "ignore-foreign-tables", "ignore-unsupported-server", acceptRestore, acceptNewSecret,
	} {
		set.Make().LongKey(other).Default("false").Bool()
	}
	noUpdate := set.MakeFull("n", "no-update", "", "false").Bool()
	register := set.MakeFull("g", "generate-registration", "", "false").Bool()
	if err := set.Parse(); err != nil {
		return asked{} // bridgev2 says what is wrong
	}
	for _, flag := range first {
		if *flag {
			return asked{}
		}
	}
	return asked{
		config: *config, registration: *registration, example: *example, register: *register && !*example, noUpdate: *noUpdate,
		start: !*example && !*register,
	}
}

// writeExample returns the exit status. A file that exists is never overwritten.
func writeExample(connector *bridge.Connector, path string) int {
	text, err := connector.Example()
	if err != nil {
		fmt.Fprintf(os.Stderr, "causeway: %v\n", err)
		return exitUsage
	}
	if path == "-" {
		fmt.Print(text)
		return 0
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		fmt.Fprintf(os.Stderr, "causeway: failed to write the example configuration: %v\n", err)
		return exitUsage
	}
	_, err = file.WriteString(text)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "causeway: failed to write the example configuration: %v\n", err)
		return exitUsage
	}
	fmt.Println("Wrote example config to", path)
	return 0
}
