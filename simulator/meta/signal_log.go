package meta

import (
	"sync"

	"go.mau.fi/libsignal/logger"
)

// silence is for libsignal's log, which is one for the whole process and goes to
// standard output unless somebody takes it. A program that took it already keeps it.
var silence sync.Once

func silenceSignal() {
	silence.Do(func() {
		if logger.Logger == nil {
			var quiet logger.Loggable = quietLogger{}
			logger.Setup(&quiet)
		}
	})
}

// quietLogger drops everything: what does not decrypt shows as a retry on the wire.
type quietLogger struct{}

func (quietLogger) Debug(_, _ string)   {}
func (quietLogger) Info(_, _ string)    {}
func (quietLogger) Warning(_, _ string) {}
func (quietLogger) Error(_, _ string)   {}
func (quietLogger) Configure(_ string)  {}
