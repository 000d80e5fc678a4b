package network

import (
	"context"
	"time"
)

// Linker links this program to a user's own account, as a companion device of their phone.
type Linker interface {
	// LinkByQR shows codes that the phone scans. LinkByCode shows one that is typed on the phone with that number
	// (E.164 with plus sign; errors wrap [ErrBadIdentifier]). Nothing is linked before [LinkDone].
	LinkByQR(ctx context.Context) (Linking, error)
	LinkByCode(ctx context.Context, phone string) (Linking, error)
}

// Linking is an attempt to link. One goroutine uses it.
type Linking interface {
	// Next waits for the next step. After [LinkDone] and after an error there is none. Errors wrap [ErrLinkTimeout]
	// when nobody scanned or typed in time, [ErrPasskey], [ErrOutdated], [ErrRateLimited], [ErrWrongAccount]
	// or those of a connection.
	Next(ctx context.Context) (LinkStep, error)
	// Cancel ends the attempt; it may be called at any time, also after its end. What was linked stays linked.
	Cancel()
}

// LinkStepKind tells what a step of linking is.
type LinkStepKind string

// The steps of linking.
const (
	// LinkQR: show Code as a QR code, in place of the one before.
	LinkQR LinkStepKind = "qr"
	// LinkCode: show Code as text, "ABCD-EFGH", to be typed on the phone.
	LinkCode LinkStepKind = "code"
	// LinkScanned: the phone has taken the code, the rest takes some seconds. It may be left out.
	LinkScanned LinkStepKind = "scanned"
	// LinkMultidevice: the phone has scanned the code and must first allow linked devices; the same code can be scanned again.
	LinkMultidevice LinkStepKind = "multidevice"
	// LinkDone: Account is linked, its keys are stored.
	LinkDone LinkStepKind = "done"
)

// LinkStep is one step of linking.
type LinkStep struct {
	Kind LinkStepKind
	Code string
	// Until is when Code ends, by the local clock.
	Until time.Time
	// Account is the linked account: Address is its LID, which names the login for good; Alias the phone number.
	Account Person
}

// Unlinker is a client whose device can be taken off the user's account from here.
type Unlinker interface {
	// Unlink takes the device off the account and forgets its keys. The connection ends. Errors wrap
	// [ErrNotConnected] if the network could not be told; the keys are forgotten all the same.
	Unlink(ctx context.Context) error
}

// Pinger is a client that can measure its connection.
type Pinger interface {
	// Ping is the time of a round trip to the network's server.
	Ping(ctx context.Context) (time.Duration, error)
}
