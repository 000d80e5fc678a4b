package bridge

import (
	"slices"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
)

// quietRequests keeps failed requests to the homeserver out of the log: the library writes
// their bodies along, with texts and phone numbers in them. Whoever asked logs the error itself.
// At debug level, which is for looking into a fault, the library logs every body all the same.
type quietRequests struct{}

// Run implements [zerolog.Hook].
func (quietRequests) Run(e *zerolog.Event, level zerolog.Level, message string) {
	about := []string{"Request canceled", "Request failed", "Request parsing failed"}
	if level >= zerolog.InfoLevel && slices.Contains(about, message) {
		e.Discard()
	}
}

// quieten sets the hook on every logger that others are derived from later.
func quieten(main *mxmain.BridgeMain) {
	*main.Log = main.Log.Hook(quietRequests{})
	main.Bridge.Log = main.Bridge.Log.Hook(quietRequests{})
	main.Matrix.AS.Log = main.Matrix.AS.Log.Hook(quietRequests{})
}
