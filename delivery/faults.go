package delivery

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/mattn/go-sqlite3"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"

	"causeway/failpoint"
	"causeway/network"
)

var (
	// ErrNotReady is what a [Bridge] answers whose login is not loaded yet: the event is tried again.
	ErrNotReady = errors.New("the login is not ready")
	// ErrGone is what a [Bridge] answers whose login has ended: the event can never be delivered.
	ErrGone = errors.New("the login has ended")
	// ErrIgnored says that bridgev2 has passed an event over: as a repeat, or since it found nothing to do.
	ErrIgnored = errors.New("bridgev2 passed the event over")

	// ErrSetAside is what authors are told of whose event ends the program each time: it is set aside for an operator.
	ErrSetAside = errors.New("the event could not be handled and is set aside")
	// ErrFlooded says that too many messages of one author wait already.
	ErrFlooded = errors.New("too many messages of this user wait")
	// ErrSlow says that a file takes too long, and in a report of [Delayed] that it is still under way.
	ErrSlow = errors.New("the file takes too long")
	// ErrNeverSent says that an edit is of a message that has failed.
	ErrNeverSent = errors.New("what the edit changes was not sent")
	// ErrForgotten says that a message was under way when a process died that must keep nothing, and cannot be read again.
	ErrForgotten = errors.New("the message was forgotten when the program ended")
	// ErrDropped says that a message was given up by its author or an operator.
	ErrDropped = errors.New("the message was dropped")
	// ErrDiskLow means that the disk is nearly full: the network should keep the event and send it again later.
	ErrDiskLow = errors.New("the disk is nearly full")

	// errNoReason is a result that bridgev2 gives after a panic, or when a part of an event has failed.
	errNoReason = errors.New("bridgev2 could not handle the event")
	// errQueued is a result that proves nothing; [Install] sees to it that it does not come.
	errQueued = errors.New("bridgev2 has only queued the event")
	// errPanicked is a panic of the bridge itself.
	errPanicked = errors.New("the event's handler panicked")
)

// fault is what kind of failure a try ran into, by what helps against it. Rows keep it as their error class.
type fault string

const (
	// faultTransient: trying again helps, sooner or later.
	faultTransient fault = "transient"
	// faultCredentials: the homeserver does not know us; the operator must help.
	faultCredentials fault = "credentials"
	// faultRefused: the homeserver refuses this effect: not a member, or no such room.
	faultRefused fault = "refused"
	// faultTooLarge: the homeserver takes no event of this size.
	faultTooLarge fault = "too large"
	// faultOurs: the event could not be converted or the code failed.
	faultOurs fault = "ours"
	// faultGone: nobody is left to deliver to.
	faultGone fault = "gone"
	// faultUnreadable: the journal row itself does not open.
	faultUnreadable fault = "unreadable"
	// faultDeadly: process after process has died while it was at the row.
	faultDeadly fault = "deadly"
)

// Classes are all words under which the journal remembers how rows of the inbox fare.
func Classes() []string {
	return []string{
		string(faultTransient), string(faultCredentials), string(faultRefused), string(faultTooLarge), string(faultOurs), string(faultGone),
		string(faultUnreadable), string(faultDeadly), endPlaceholder, endRepeat, endIgnored, endOvertaken, endDropped,
	}
}

// retryAfterLimit caps what a homeserver may ask for.
const retryAfterLimit = 15 * time.Minute

// faultOf sorts an error of the Matrix side. after is how long the homeserver asks to wait, zero if it does not say.
func faultOf(err error) (kind fault, after time.Duration) {
	var httpErr mautrix.HTTPError
	switch {
	case errors.Is(err, ErrGone):
		return faultGone, 0
	case errors.As(err, &httpErr) && httpErr.Response != nil:
		return faultOfStatus(httpErr)
	case errors.As(err, &httpErr), IsTransient(err):
		return faultTransient, 0
	default:
		return faultOurs, 0
	}
}

func faultOfStatus(err mautrix.HTTPError) (fault, time.Duration) {
	code := err.Response.StatusCode
	switch {
	case errors.Is(err, mautrix.MUnknownToken), errors.Is(err, mautrix.MMissingToken), errors.Is(err, mautrix.MExclusive):
		return faultCredentials, 0
	case code == http.StatusTooManyRequests, code >= http.StatusInternalServerError, code == http.StatusRequestTimeout, code < 300:
		return faultTransient, retryAfter(err.Response.Header.Get("Retry-After"), err.RespError)
	case errors.Is(err, mautrix.MTooLarge), code == http.StatusRequestEntityTooLarge:
		return faultTooLarge, 0
	case code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusUnauthorized:
		return faultRefused, 0
	default:
		return faultOurs, 0
	}
}

// retryAfter reads the header, else the older field of the body (Matrix client-server API, rate limiting).
func retryAfter(header string, body *mautrix.RespError) time.Duration {
	var length time.Duration
	if seconds, err := strconv.Atoi(header); err == nil {
		length = time.Duration(min(seconds, int(retryAfterLimit/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		length = time.Until(at)
	} else if body != nil {
		ms, _ := body.ExtraData["retry_after_ms"].(float64)
		length = time.Duration(min(ms, float64(retryAfterLimit/time.Millisecond))) * time.Millisecond
	}
	return max(0, min(length, retryAfterLimit))
}

// IsTransient says whether an error is about the moment, and not about what was asked: the database's, a connection's, an end of waiting.
func IsTransient(err error) bool {
	var netErr net.Error
	for _, known := range []error{
		ErrNotReady, errWriterClosed, context.Canceled, context.DeadlineExceeded,
		bridgev2.ErrFailedToGetIntent, network.ErrNotConnected, network.ErrTemporary, network.ErrRateLimited, failpoint.ErrInjected,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, &netErr) || isDatabase(err)
}

// isDatabase says whether an error is the database's and not about what it was asked.
func isDatabase(err error) bool {
	for _, known := range []error{bridgev2.ErrDatabaseError, sql.ErrConnDone, sql.ErrTxDone, driver.ErrBadConn} {
		if errors.Is(err, known) {
			return true
		}
	}
	var fileErr sqlite3.Error
	var serverErr interface{ SQLState() string }
	return errors.As(err, &fileErr) || errors.As(err, &serverErr)
}

// outcome sorts an error of the network's side.
type outcome int

const (
	// outcomeLater: it did not leave us, or the network asks for another time.
	outcomeLater outcome = iota
	// outcomeUnknown: it may have arrived; the same again under the same id.
	outcomeUnknown
	// outcomeFinal: it will never work.
	outcomeFinal
)

func outcomeOf(err error) outcome {
	for _, final := range []error{
		network.ErrNotOptedIn, network.ErrUnknownPerson, network.ErrBadIdentifier, network.ErrRegion, network.ErrTooLarge,
		network.ErrUnsupported, network.ErrRejected, network.ErrNoEncryption, network.ErrWithdrawn, network.ErrNotEnlisted,
		network.ErrSuspended, network.ErrTooLate, network.ErrForbidden, network.ErrNotMember, network.ErrUnknownGroup,
		network.ErrBadInvite, network.ErrPrivacy, ErrGone, ErrSlow, ErrForgotten, ErrNeverSent,
	} {
		if errors.Is(err, final) {
			return outcomeFinal
		}
	}
	for _, later := range []error{
		network.ErrNotConnected, network.ErrTemporary, network.ErrRateLimited, network.ErrTokenExpired, network.ErrTokenRefused,
		network.ErrReplaced, network.ErrOutdated, network.ErrUnlinked, network.ErrBanned, ErrNotReady,
	} {
		if errors.Is(err, later) {
			return outcomeLater
		}
	}
	return outcomeUnknown
}
