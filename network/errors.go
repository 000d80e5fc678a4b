package network

import (
	"errors"
	"fmt"
	"time"
)

// What can go wrong with a network, told apart by what a user or an operator can
// do about it. The bridge turns each into a sentence in one place, bridge/errors.go.
var (
	// ErrNotConnected: there is no connection at the moment; trying later helps.
	ErrNotConnected = errors.New("not connected to the network")
	// ErrOutcomeUnknown: the message left us and no answer came; the same message under the same id is safe to repeat.
	ErrOutcomeUnknown = errors.New("the network did not answer")
	// ErrTemporary: the network failed for a moment; trying later helps.
	ErrTemporary = errors.New("the network failed for a moment")
	// ErrRateLimited: too much at once; trying later helps.
	ErrRateLimited = errors.New("the network asks us to slow down")

	// ErrNotOptedIn: the person does not accept third-party chats from us, or not any more.
	ErrNotOptedIn = errors.New("the person has not turned on third-party chats")
	// ErrUnknownPerson: there is no such person, or none that can be reached from here.
	ErrUnknownPerson = errors.New("no such person on the network")
	// ErrBadIdentifier: what was looked up is not of the network's form.
	ErrBadIdentifier = errors.New("not a valid identifier")
	// ErrRegion: one of the two is outside the region where third-party chats exist.
	ErrRegion = errors.New("outside the region of third-party chats")
	// ErrTooLarge: the message is larger than the network takes.
	ErrTooLarge = errors.New("the message is too large")
	// ErrUnsupported: the network has no way to carry this content.
	ErrUnsupported = errors.New("the network cannot carry this")
	// ErrMediaGone: the file has expired or was never there.
	ErrMediaGone = errors.New("the file is not there any more")
	// ErrMediaBroken: the file's bytes are not what the message promised.
	ErrMediaBroken = errors.New("the file is damaged")
	// ErrRejected: the network calls the message malformed; a fault of ours.
	ErrRejected = errors.New("the network refused the message")
	// ErrNoEncryption: no encrypted session can be set up with the person, as their keys are missing or wrong.
	ErrNoEncryption = errors.New("no encrypted session with the person")

	// ErrTokenExpired: the login's token was too old; a fresh one helps.
	ErrTokenExpired = errors.New("the login token has expired")
	// ErrTokenRefused: the network does not accept our token: key, issuer or account do not fit.
	ErrTokenRefused = errors.New("the network refused the login token")
	// ErrNotEnlisted: the account is not enlisted with this network.
	ErrNotEnlisted = errors.New("the account is not enlisted")
	// ErrSuspended: the network suspended the account for a while.
	ErrSuspended = errors.New("the account is suspended")
	// ErrWithdrawn: the account's enlistment has ended.
	ErrWithdrawn = errors.New("the enlistment was withdrawn")
	// ErrReplaced: another connection of the same account took over.
	ErrReplaced = errors.New("another connection took over")
	// ErrOutdated: the network no longer talks to this version of the program.
	ErrOutdated = errors.New("this version is too old for the network")

	// ErrUnlinked: the phone took this device off the account, or the network did; linking again helps.
	ErrUnlinked = errors.New("the device was unlinked")
	// ErrLocked: the network has ended the link because the account was moved to another phone, or is locked. It wraps [ErrUnlinked].
	ErrLocked = fmt.Errorf("%w: it has another phone, or is locked", ErrUnlinked)
	// ErrBanned: the network has banned the account, for a while or for good; see [BanError].
	ErrBanned = errors.New("the account is banned")
	// ErrPasskey: the network wants a passkey to link a device, which cannot be given here.
	ErrPasskey = errors.New("the network asks for a passkey")
	// ErrLinkTimeout: nobody scanned or typed the code in time; a new attempt helps.
	ErrLinkTimeout = errors.New("the code was not used in time")
	// ErrWrongAccount: another account was linked than the one that was to be linked again.
	ErrWrongAccount = errors.New("another account was linked")
	// ErrForeignEndpoint: the login was made on another network, a real one or a simulated one, than the one configured.
	ErrForeignEndpoint = errors.New("the login belongs to another network endpoint")
	// ErrTooLate: the network lets messages be edited or removed for a while only, which is over.
	ErrTooLate = errors.New("the message is too old to be changed")
	// ErrForbidden: only an administrator of the group may do this.
	ErrForbidden = errors.New("only an administrator may do this")
	// ErrNotMember: the login is not a member of the group, or not any more.
	ErrNotMember = errors.New("not a member of the group")
	// ErrUnknownGroup: there is no such group.
	ErrUnknownGroup = errors.New("no such group")
	// ErrBadInvite: the invitation or link does not work, or not any more.
	ErrBadInvite = errors.New("the invitation does not work")
	// ErrApproval: an administrator of the group has to agree first.
	ErrApproval = errors.New("an administrator has to agree first")
	// ErrPrivacy: the person's privacy settings do not let us do this.
	ErrPrivacy = errors.New("the person's privacy settings forbid this")
	// ErrNoPicture: there is no picture, or none that we may see.
	ErrNoPicture = errors.New("there is no picture")
	// ErrUnchanged: it is still the known one.
	ErrUnchanged = errors.New("it has not changed")
)

// BanError is a ban that may end. It wraps [ErrBanned].
type BanError struct {
	// Reason is the network's, in plain words; empty if it gives none.
	Reason string
	// Until is when the ban ends, the zero time if it is for good or not known.
	Until time.Time
}

// Error implements error.
func (e *BanError) Error() string { return ErrBanned.Error() }

// Unwrap is [ErrBanned].
func (e *BanError) Unwrap() error { return ErrBanned }
