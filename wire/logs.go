package wire

import (
	"github.com/rs/zerolog"
	"go.mau.fi/libsignal/logger"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// libraryLog passes on warnings and errors of the connection library. Only the
// constant part of a line is kept, plus numbers and errors: the other arguments are
// addresses, names and whole stanzas, which have no place in a log.
type libraryLog struct{ log zerolog.Logger }

var _ waLog.Logger = libraryLog{}

// LibraryLog is a logger for the connection library that lets through what may stand in a log.
func LibraryLog(log zerolog.Logger) waLog.Logger { return libraryLog{log} }

func (l libraryLog) Warnf(format string, args ...any)  { l.write(l.log.Warn(), format, args) }
func (l libraryLog) Errorf(format string, args ...any) { l.write(l.log.Error(), format, args) }
func (libraryLog) Infof(string, ...any)                {}
func (libraryLog) Debugf(string, ...any)               {}
func (l libraryLog) Sub(module string) waLog.Logger {
	return libraryLog{l.log.With().Str("module", module).Logger()}
}

func (l libraryLog) write(event *zerolog.Event, format string, args []any) {
	for _, arg := range args {
		switch value := arg.(type) {
		case error:
			event.AnErr("error", value)
		case int:
			event.Int("number", value)
		}
	}
	event.Str("library_line", format).Msg("The connection library complains")
}

// silent drops what the Signal library logs: it prints keys and plaintexts, to standard output unless told otherwise.
type silent struct{}

func (silent) Debug(string, string)   {}
func (silent) Info(string, string)    {}
func (silent) Warning(string, string) {}
func (silent) Error(string, string)   {}
func (silent) Configure(string)       {}

func quietSignalLibrary() {
	var quiet logger.Loggable = silent{}
	logger.Setup(&quiet)
}
