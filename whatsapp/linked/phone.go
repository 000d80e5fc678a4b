package linked

import (
	"context"
	"fmt"
	"sync"
	"time"

	"causeway/network"
)

const (
	// phoneCheckEvery is how often it is looked whether the phone has been silent for too long.
	phoneCheckEvery = time.Hour
	// phoneNoteEvery is how often the phone's signs of life are written down at most.
	phoneNoteEvery = time.Hour
)

// phoneWatch remembers when the phone's last sign of life was written down.
type phoneWatch struct {
	mu    sync.Mutex
	noted time.Time
	away  bool
}

// phoneSeen takes a sign of life of the phone. The lock around the handler is held.
func (l *link) phoneSeen(ctx context.Context, at time.Time) error {
	watch := &l.owner.phone
	watch.mu.Lock()
	defer watch.mu.Unlock()
	if at.Sub(watch.noted) < phoneNoteEvery && !watch.away {
		return nil
	}
	known, err := l.own.db.LinkedLogin(ctx, l.owner.Self().String())
	if err != nil || known == nil {
		return err
	}
	if known.PhoneAway {
		if err = l.hand(ctx, network.PhoneEvent{Seen: at}); err != nil {
			return err
		}
	}
	if err = l.own.db.SetPhoneSeen(ctx, known.Login, max(known.PhoneSeen, at.UnixMilli()), false); err != nil {
		return err
	}
	watch.noted, watch.away = at, false
	return nil
}

// checkPhone tells once if the phone has been silent for too long.
func (l *link) checkPhone(ctx context.Context) error {
	l.owner.taking.Lock()
	defer l.owner.taking.Unlock()
	if l.halted.Load() {
		return nil
	}
	known, err := l.own.db.LinkedLogin(ctx, l.owner.Self().String())
	if err != nil || known == nil {
		return err
	}
	seen := time.UnixMilli(known.PhoneSeen)
	watch := &l.owner.phone
	watch.mu.Lock()
	watch.away = known.PhoneAway
	watch.mu.Unlock()
	if known.PhoneAway || time.Since(seen) < l.owner.cfg.PhoneAwayAfter {
		return nil
	}
	if err = guarded(func() error { return l.owner.cfg.Handler(ctx, network.PhoneEvent{Away: true, Seen: seen}) }); err != nil {
		return fmt.Errorf("%w: a warning was not taken: %w", network.ErrTemporary, err)
	}
	watch.mu.Lock()
	watch.away = true
	watch.mu.Unlock()
	return l.own.db.SetPhoneSeen(ctx, known.Login, known.PhoneSeen, true)
}
