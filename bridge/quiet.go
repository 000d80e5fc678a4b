package bridge

import (
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

// quieten sets the hook on every logger that others are derived from later.
func quieten(main *mxmain.BridgeMain) {
	*main.Log = main.Log.Hook(quietRequests{})
	main.Bridge.Log = main.Bridge.Log.Hook(quietRequests{})
	main.Matrix.AS.Log = main.Matrix.AS.Log.Hook(quietRequests{})
}
