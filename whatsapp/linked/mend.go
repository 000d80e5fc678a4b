package linked

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/types/events"
)

// mendEvery bounds how often a part of the chats' states is mended in one way.
const mendEvery = time.Hour

// mending is a way to mend a part of what an account's devices share.
type mending struct {
	part appstate.WAPatchName
	// byPhone asks the phone for it, in the clear; otherwise the server is asked for the whole of it anew.
	byPhone bool
}

// stateBroke mends what does not fit its checksum any more, which nothing else would: from the server first, and if that
// is broken as well, from the phone. The lock around the handler is held.
func (l *link) stateBroke(ctx context.Context, e *events.AppStateSyncError) {
	way := mending{part: e.Name, byPhone: e.FullSync}
	if time.Since(l.mended[way]) < mendEvery {
		return
	}
	l.mended[way] = time.Now()
	log := l.owner.cfg.Log.With().Str("part", string(e.Name)).Bool("by_phone", way.byPhone).Logger()
	log.Warn().Err(e.Error).Msg("What the account's devices share does not fit, mending it")
	l.tasks.Go(func() {
		var err error
		if way.byPhone {
			sending, end := withSending(ctx)
			defer end()
			_, err = l.lib.SendPeerMessage(sending, whatsmeow.BuildAppStateRecoveryRequest(e.Name))
		} else {
			err = l.lib.FetchAppState(ctx, e.Name, true, false)
		}
		if err != nil {
			log.Warn().Err(err).Msg("What the account's devices share was not mended")
		}
	})
}
