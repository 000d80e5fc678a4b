package linked

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/wire"
)

const (
	// firstCodeFor and laterCodeFor are how long the network takes a QR code; linkCodeFor how long a code that is typed.
	firstCodeFor = 60 * time.Second
	laterCodeFor = 20 * time.Second
	linkCodeFor  = 160 * time.Second
	// settleWithin is how long the network may take to end the connection on which a device was linked.
	settleWithin = 15 * time.Second
	// codeClient is what the phone is told of the device before it is linked by code. The network takes common browsers only.
	codeClient = "Chrome (Linux)"
)

// Admission says whether an account may be linked, once the phone has agreed and before anything is stored: an error keeps what
// there is of the account as it is, and ends the attempt.
type Admission func(ctx context.Context, account network.Address) error

// Linker links devices.
type Linker struct {
	store *Store
	admit Admission
	log   zerolog.Logger
}

// NewLinker makes a linker whose devices go into store, if admit lets them; nil lets all.
func NewLinker(store *Store, admit Admission, log zerolog.Logger) *Linker {
	return &Linker{store: store, admit: admit, log: log}
}

// LinkByQR links by a code that the phone scans, see [network.Linker].
func (l *Linker) LinkByQR(ctx context.Context) (network.Linking, error) { return l.begin(ctx, ""), nil }

// LinkByCode links by a code that is typed on the phone, see [network.Linker].
func (l *Linker) LinkByCode(ctx context.Context, phone string) (network.Linking, error) {
	phone, err := normalPhone(phone)
	if err != nil {
		return nil, err
	}
	return l.begin(ctx, phone), nil
}

func (l *Linker) begin(ctx context.Context, phone string) *linking {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	attempt := &linking{linker: l, phone: phone, cancel: cancel, steps: make(chan network.LinkStep), ended: make(chan struct{})}
	go attempt.run(ctx)
	return attempt
}

// linking is an attempt to link.
type linking struct {
	linker *Linker
	// phone is empty for a QR code.
	phone  string
	cancel context.CancelFunc
	steps  chan network.LinkStep
	// ended is closed when there are no more steps; err says why then, nil after the last one.
	ended chan struct{}
	err   error
}

// errLinkOver says that there is no step after the last one.
var errLinkOver = errors.New("linking is over")

// Next waits for the next step, see [network.Linking].
func (a *linking) Next(ctx context.Context) (network.LinkStep, error) {
	select {
	case step := <-a.steps:
		return step, nil
	case <-a.ended:
		if a.err == nil {
			return network.LinkStep{}, errLinkOver
		}
		return network.LinkStep{}, a.err
	case <-ctx.Done():
		return network.LinkStep{}, ctx.Err()
	}
}

// Cancel ends the attempt and waits for it.
func (a *linking) Cancel() {
	a.cancel()
	<-a.ended
}

func (a *linking) run(ctx context.Context) {
	defer close(a.ended)
	defer a.cancel()
	a.err = a.once(ctx)
	if errors.Is(a.err, network.ErrOutdated) {
		if err := a.linker.store.renewVersion(ctx); err != nil {
			a.err = fmt.Errorf("%w; no newer version was found: %w", a.err, err)
			return
		}
		a.err = a.once(ctx)
	}
}

// show gives out a step.
func (a *linking) show(ctx context.Context, step network.LinkStep) error {
	select {
	case a.steps <- step:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once links on one connection.
func (a *linking) once(ctx context.Context) error {
	device := a.linker.store.newDevice(a.linker.admit)
	lib := a.linker.store.library(device, a.linker.log)
	incoming := make(chan any, 64)
	lib.AddEventHandler(func(event any) {
		select {
		case incoming <- event:
		case <-ctx.Done():
		}
	})
	connCtx, cancel := context.WithCancel(ctx)
	defer cancel() // which ends the connection; the library's own way must not meet the server's, which ends it now, too
	if err := lib.ConnectContext(connCtx); err != nil {
		return fmt.Errorf("%w: failed to connect: %w", network.ErrTemporary, err)
	}
	current := &codes{attempt: a, lib: lib, timer: time.NewTimer(linkCodeFor)}
	defer current.timer.Stop()
	settled := false // the library may tell the end of the connection before the success
	for {
		var err error
		select {
		case event := <-incoming:
			switch e := event.(type) {
			case *events.PairSuccess:
				return a.finish(ctx, device, e, incoming, settled)
			case *events.ManualLoginReconnect:
				settled = true
			default:
				err = current.take(ctx, event)
			}
		case <-current.timer.C:
			err = current.show(ctx)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// codes are the codes of one connection, shown one after the other.
type codes struct {
	attempt *linking
	lib     *whatsmeow.Client
	waiting []string
	shown   int
	timer   *time.Timer
}

// take takes an event of the library while the phone is waited for.
func (c *codes) take(ctx context.Context, event any) error {
	switch e := event.(type) {
	case *events.QR:
		if c.attempt.phone != "" {
			return c.byPhone(ctx)
		}
		c.waiting = e.Codes
		return c.show(ctx)
	case *events.QRScannedWithoutMultidevice:
		return c.attempt.show(ctx, network.LinkStep{Kind: network.LinkMultidevice})
	case *events.PairError:
		if declined := (declinedError{}); errors.As(e.Error, &declined) {
			return declined.error
		}
		return fmt.Errorf("%w: failed to link: %w", network.ErrTemporary, e.Error)
	case *events.PairPasskeyRequest, *events.PairPasskeyError, *events.PairPasskeyConfirmation:
		return network.ErrPasskey
	case *events.ClientOutdated:
		return network.ErrOutdated
	case *events.ConnectFailure:
		return refused(e.Reason)
	case *events.LoggedOut:
		return ended(e.Reason)
	case *events.TemporaryBan:
		return banned(e)
	case *events.StreamError:
		return fmt.Errorf("%w: stream error %.20q", network.ErrTemporary, e.Code)
	case *events.Disconnected:
		if c.shown > 0 {
			return network.ErrLinkTimeout // the network ends the connection with the last code
		}
		return fmt.Errorf("%w: the connection was closed", network.ErrTemporary)
	}
	return nil
}

// show shows the next code.
func (c *codes) show(ctx context.Context) error {
	if len(c.waiting) == 0 {
		return network.ErrLinkTimeout
	}
	code := c.waiting[0]
	c.waiting = c.waiting[1:]
	lasts := laterCodeFor
	if c.shown == 0 {
		lasts = firstCodeFor
	}
	c.shown++
	c.timer.Reset(lasts)
	return c.attempt.show(ctx, network.LinkStep{Kind: network.LinkQR, Code: code, Until: time.Now().Add(lasts)})
}

// byPhone asks for a code to be typed. It is asked for once: a second one would make the first useless.
func (c *codes) byPhone(ctx context.Context) error {
	if c.shown > 0 {
		return nil
	}
	code, err := c.lib.PairPhone(ctx, c.attempt.phone, true, whatsmeow.PairClientChrome, codeClient)
	if err != nil {
		return fmt.Errorf("failed to ask for a code: %w", failure(err))
	}
	c.shown++
	c.timer.Reset(linkCodeFor)
	return c.attempt.show(ctx, network.LinkStep{Kind: network.LinkCode, Code: code, Until: time.Now().Add(linkCodeFor)})
}

// finish waits for the end of the connection on which the device was linked, and tells the account.
func (a *linking) finish(
	ctx context.Context, device *store.Device, success *events.PairSuccess, incoming <-chan any, settled bool,
) error {
	if err := a.show(ctx, network.LinkStep{Kind: network.LinkScanned}); err != nil {
		return err
	}
	self, err := wire.FromJID(network.WhatsApp, success.LID.ToNonAD())
	if err != nil {
		return fmt.Errorf("%w: failed to link: %w", network.ErrTemporary, err)
	}
	account := network.Person{
		Address: self, Alias: network.Phone(success.ID.User), Name: wire.Clean(device.PushName), Business: wire.Clean(success.BusinessName),
	}
	patience := time.NewTimer(settleWithin)
	defer patience.Stop()
	for !settled {
		select {
		case event := <-incoming:
			switch e := event.(type) {
			case *events.ManualLoginReconnect, *events.Disconnected:
				settled = true
			case *events.ConnectFailure:
				return refused(e.Reason)
			}
		case <-patience.C:
			settled = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return a.show(ctx, network.LinkStep{Kind: network.LinkDone, Account: account})
}
