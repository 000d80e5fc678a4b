package interop

import (
	"errors"
	"fmt"

	"causeway/network"
)

// Refusals of our own, beside the sentinels of package network that errors of this package wrap too.
var (
	// ErrIncomplete: the account kind is off, or the agreement section of the configuration is not complete.
	ErrIncomplete = errors.New("this server has no agreement for third-party chats")
	// ErrStopped: the operator's kill switch is on.
	ErrStopped = errors.New("third-party chats are stopped on this server")
	// ErrUserNotAllowed: the user is of a homeserver that this provider does not serve.
	ErrUserNotAllowed = errors.New("users of this homeserver are not served")
	// ErrNoConsent: the user has not agreed to the terms, or not to the current ones, or has taken it back.
	ErrNoConsent = errors.New("no consent to the terms")
	// ErrIdentifierTaken: the network knows the user's identifier as somebody else's.
	ErrIdentifierTaken = errors.New("the identifier is taken")
	// ErrIdentityMismatch: the network holds other keys of the same user.
	ErrIdentityMismatch = errors.New("the network holds other keys of this user")
	// ErrNoMediaHost: the configuration names no address at which the network could fetch files.
	ErrNoMediaHost = errors.New("this server hosts no files")
	// ErrMediaQuota: the user, or all users together, have as many files waiting as is allowed; it helps to wait.
	ErrMediaQuota = errors.New("too many files are waiting to be fetched")
	// ErrOutside: the region page found the user outside of the EEA.
	ErrOutside = fmt.Errorf("%w: by the region page", network.ErrRegion)
	// ErrUnconfirmed: the user has not confirmed on the region page, or not lately, to be in the EEA.
	ErrUnconfirmed = fmt.Errorf("%w: not confirmed", network.ErrRegion)
	// ErrNoClientAddress: in mode proxy, it is not known where the user's client is.
	ErrNoClientAddress = fmt.Errorf("%w: the address of the user's client is not known", network.ErrNotConnected)
	// ErrNotStarted: [Provider.Start] has not run, or failed.
	ErrNotStarted = errors.New("the provider is not started")
)
