package bridge

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
)

// quietRequests keeps what the library writes along out of the log. Failed requests to the homeserver have texts and phone
// numbers in their bodies; whoever asked logs the error itself. Requests to the provisioning interface have phone numbers in
// their paths, and the first step of a login there is a code that links an account; what fails there is logged besides.
// At debug level, which is for looking into a fault, the library logs all of it.
type quietRequests struct{}

// Run implements [zerolog.Hook].
func (quietRequests) Run(e *zerolog.Event, level zerolog.Level, message string) {
	about := []string{"Request canceled", "Request failed", "Request parsing failed", "Access", "Started login process"}
	if level >= zerolog.InfoLevel && slices.Contains(about, message) {
		e.Discard()
	}
}

// numberless keeps phone numbers out of the log: whoever is known by number alone has it in the names of their room and ghost,
// which bridgev2 writes along.
type numberless struct{ zerolog.LevelWriter }

var byNumber = regexp.MustCompile(`-pn-[0-9]+`)

// WriteLevel implements [zerolog.LevelWriter].
func (n numberless) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if !bytes.Contains(line, []byte("-pn-")) {
		return n.LevelWriter.WriteLevel(level, line)
	}
	_, err := n.LevelWriter.WriteLevel(level, byNumber.ReplaceAll(line, []byte("-pn-…")))
	return len(line), err
}

// Write implements [io.Writer].
func (n numberless) Write(line []byte) (int, error) { return n.WriteLevel(zerolog.NoLevel, line) }

// quieten changes every logger that others are derived from later.
func quieten(main *mxmain.BridgeMain) error {
	var writers []io.Writer
	for _, config := range main.Config.Logging.Writers {
		writer, err := config.Compile()
		if err != nil {
			return fmt.Errorf("failed to open the log: %w", err)
		}
		writers = append(writers, writer)
	}
	out := numberless{zerolog.MultiLevelWriter(writers...)}
	*main.Log = main.Log.Output(out).Hook(quietRequests{})
	main.Bridge.Log = main.Bridge.Log.Output(out).Hook(quietRequests{})
	main.Matrix.AS.Log = main.Matrix.AS.Log.Output(out).Hook(quietRequests{})
	return nil
}
