package bridge

import (
	"errors"
	"fmt"
	"net/http"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"causeway/delivery"
	"causeway/interop"
	"causeway/network"
)

// problem is what users are told of an error. Codes are stable: they stand in logs, notices and documents.
type problem struct {
	is   error
	code string
	// text says what happened and what to do next; {network} and the like are filled in.
	text string
	// status is what becomes of a message: retriable ones may succeed when sent again.
	status event.MessageStatus
	// uncertain says that the message may have arrived all the same.
	uncertain bool
	// http is the answer's status where the question came over HTTP.
	http int
}

// sentence is an error whose text is meant for people and shown as it is.
type sentence string

// Error implements error.
func (s sentence) Error() string { return string(s) }

// What a user asks of a message that cannot be, in a third-party chat or at all.
var (
	errReactionsUnknown = errors.New("the other side has not shown that it knows reactions")
	errNotAnEmoji       = errors.New("the reaction is not an emoji")
	errNotHere          = errors.New("the message is not one of this chat that can be changed")
	errNoVotes          = errors.New("votes cannot be sent")
	errNoDownload       = errors.New("the homeserver did not give the file")
	errBlocked          = errors.New("the user has blocked this person")
	errLinkedOff        = errors.New("linked accounts are turned off")
	errLinkedElsewhere  = errors.New("another user has linked the account")
	errNotAGroup        = errors.New("the chat is not a group")
	errOnlyPeople       = errors.New("only people of the network can be invited")
	errNoBan            = errors.New("the network has no bans")
	errBadPoll          = errors.New("the network has no such poll")
)

const (
	retriable = event.MessageStatusRetriable
	failed    = event.MessageStatusFail
)

// problems is tried in order; an error that none of them is becomes [unexplained].
func problems() []problem {
	return []problem{
		{is: delivery.ErrSlow, code: "CW-1408", text: textSlow, status: retriable, http: http.StatusGatewayTimeout},
		{is: network.ErrNotOptedIn, code: "CW-1201", text: textNotOptedIn, status: failed, http: http.StatusForbidden},
		{is: network.ErrUnknownPerson, code: "CW-1202", text: textUnknownPerson, status: failed, http: http.StatusNotFound},
		{is: network.ErrBadIdentifier, code: "CW-1203", text: textBadIdentifier, status: failed, http: http.StatusBadRequest},
		{is: network.ErrNoEncryption, code: "CW-1204", text: textNoEncryption, status: retriable, http: http.StatusBadGateway},
		{is: interop.ErrOutside, code: "CW-1511", text: textOutside, status: failed, http: http.StatusForbidden},
		{is: interop.ErrUnconfirmed, code: "CW-1512", text: textUnconfirmed, status: failed, http: http.StatusForbidden},
		{is: errRegionLate, code: "CW-1513", text: textRegionLate, status: failed, http: http.StatusRequestTimeout},
		{is: network.ErrRegion, code: "CW-1205", text: textRegion, status: failed, http: http.StatusForbidden},

		{is: errBadPoll, code: "CW-1321", text: textBadPoll, status: failed, http: http.StatusBadRequest},
		{is: errNotAGroup, code: "CW-1211", text: textNotAGroup, status: failed, http: http.StatusBadRequest},
		{is: errOnlyPeople, code: "CW-1212", text: textOnlyPeople, status: failed, http: http.StatusBadRequest},
		{is: errNoBan, code: "CW-1213", text: textNoBan, status: failed, http: http.StatusBadRequest},
		{is: network.ErrForbidden, code: "CW-1206", text: textForbidden, status: failed, http: http.StatusForbidden},
		{is: network.ErrNotMember, code: "CW-1207", text: textNotMember, status: failed, http: http.StatusForbidden},
		{is: network.ErrUnknownGroup, code: "CW-1208", text: textUnknownGroup, status: failed, http: http.StatusNotFound},
		{is: network.ErrBadInvite, code: "CW-1209", text: textBadInvite, status: failed, http: http.StatusNotFound},
		{is: network.ErrApproval, code: "CW-1210", text: textApproval, status: failed, http: http.StatusAccepted},
		{is: network.ErrPrivacy, code: "CW-1214", text: textPrivacy, status: failed, http: http.StatusForbidden},
		{is: network.ErrTooLate, code: "CW-1322", text: textTooLateChange, status: failed, http: http.StatusBadRequest},
		{is: network.ErrNoPicture, code: "CW-1215", text: textNoPicture, status: failed, http: http.StatusNotFound},

		{is: network.ErrLocked, code: "CW-1609", text: textLocked, status: failed, http: http.StatusForbidden},
		{is: network.ErrUnlinked, code: "CW-1601", text: textUnlinked, status: failed, http: http.StatusForbidden},
		{is: network.ErrBanned, code: "CW-1602", text: textBanned, status: failed, http: http.StatusForbidden},
		{is: network.ErrPasskey, code: "CW-1603", text: textPasskey, status: failed, http: http.StatusForbidden},
		{is: network.ErrLinkTimeout, code: "CW-1604", text: textLinkTimeout, status: failed, http: http.StatusRequestTimeout},
		{is: network.ErrWrongAccount, code: "CW-1605", text: textWrongAccount, status: failed, http: http.StatusConflict},
		{is: network.ErrForeignEndpoint, code: "CW-1606", text: textForeignEndpoint, status: failed, http: http.StatusServiceUnavailable},
		{is: errLinkedOff, code: "CW-1607", text: textLinkOff, status: failed, http: http.StatusForbidden},
		{is: errLinkedElsewhere, code: "CW-1608", text: textLinkTaken, status: failed, http: http.StatusConflict},

		{is: errNotAnEmoji, code: "CW-1308", text: textNotAnEmoji, status: failed, http: http.StatusBadRequest},
		{is: network.ErrUnsupported, code: "CW-1301", text: textUnsupported, status: failed, http: http.StatusBadRequest},
		{is: network.ErrTooLarge, code: "CW-1302", text: textTooLarge, status: failed, http: http.StatusRequestEntityTooLarge},
		{is: bare(bridgev2.ErrMediaTooLarge), code: "CW-1302", text: textTooLarge, status: failed, http: http.StatusRequestEntityTooLarge},
		{is: network.ErrRejected, code: "CW-1303", text: textRejected, status: failed, http: http.StatusBadGateway},

		{is: network.ErrTokenExpired, code: "CW-1101", text: textTokenExpired, status: retriable, http: http.StatusServiceUnavailable},
		{is: network.ErrTokenRefused, code: "CW-1102", text: textTokenRefused, status: failed, http: http.StatusServiceUnavailable},
		{is: network.ErrNotEnlisted, code: "CW-1103", text: textNotEnlisted, status: failed, http: http.StatusForbidden},
		{is: network.ErrSuspended, code: "CW-1104", text: textSuspended, status: failed, http: http.StatusForbidden},
		{is: network.ErrWithdrawn, code: "CW-1105", text: textWithdrawn, status: failed, http: http.StatusForbidden},
		{is: network.ErrReplaced, code: "CW-1106", text: textReplaced, status: retriable, http: http.StatusServiceUnavailable},
		{is: network.ErrOutdated, code: "CW-1107", text: textOutdated, status: failed, http: http.StatusServiceUnavailable},

		{is: interop.ErrIncomplete, code: "CW-1501", text: textNoAgreement, status: failed, http: http.StatusForbidden},
		{is: interop.ErrStopped, code: "CW-1502", text: textStopped, status: failed, http: http.StatusServiceUnavailable},
		{is: interop.ErrUserNotAllowed, code: "CW-1503", text: textUserNotAllowed, status: failed, http: http.StatusForbidden},
		{is: interop.ErrNoConsent, code: "CW-1504", text: textNoConsent, status: failed, http: http.StatusForbidden},
		{is: interop.ErrIdentifierTaken, code: "CW-1505", text: textIdentifierTaken, status: failed, http: http.StatusConflict},
		{is: interop.ErrIdentityMismatch, code: "CW-1506", text: textIdentityMismatch, status: failed, http: http.StatusConflict},
		{is: interop.ErrNotStarted, code: "CW-1507", text: textNotStarted, status: retriable, http: http.StatusServiceUnavailable},
		{is: errLoggedInAlready, code: "CW-1508", text: textLoggedInAlready, status: failed, http: http.StatusConflict},
		{is: errNotAgreed, code: "CW-1509", text: textNotAgreed, status: failed, http: http.StatusForbidden},
		{is: errNoSuchFlow, code: "CW-1510", text: textNoSuchFlow, status: failed, http: http.StatusNotFound},

		{is: network.ErrRateLimited, code: "CW-1401", text: textRateLimited, status: retriable, http: http.StatusTooManyRequests},
		{is: network.ErrOutcomeUnknown, code: "CW-1402", text: textOutcomeUnknown, status: retriable, uncertain: true, http: http.StatusGatewayTimeout},
		{is: network.ErrTemporary, code: "CW-1403", text: textTemporary, status: retriable, http: http.StatusBadGateway},
		{is: interop.ErrNoClientAddress, code: "CW-1412", text: textNoAddress, status: retriable, http: http.StatusServiceUnavailable},
		{is: network.ErrNotConnected, code: "CW-1404", text: textNotConnected, status: retriable, http: http.StatusServiceUnavailable},

		{is: delivery.ErrInboxFull, code: "CW-1405", text: textInboxFull, status: retriable, http: http.StatusServiceUnavailable},
		{is: delivery.ErrDiskLow, code: "CW-1406", text: textDiskLow, status: retriable, http: http.StatusInsufficientStorage},

		{is: delivery.ErrGone, code: "CW-1109", text: textAccountGone, status: failed, http: http.StatusGone},
		{is: delivery.ErrFlooded, code: "CW-1407", text: textFlooded, status: retriable, http: http.StatusTooManyRequests},
		{is: delivery.ErrNeverSent, code: "CW-1413", text: textNeverSent, status: failed, http: http.StatusGone},
		{is: delivery.ErrForgotten, code: "CW-1411", text: textForgotten, status: retriable, http: http.StatusGone},
		{is: delivery.ErrDropped, code: "CW-1409", text: textDropped, status: failed, http: http.StatusGone},
		{is: delivery.ErrSetAside, code: "CW-1410", text: textSetAside, status: failed, http: http.StatusInternalServerError},
		{is: bare(bridgev2.ErrNotLoggedIn), code: "CW-1108", text: textNotLoggedIn, status: failed, http: http.StatusForbidden},
		{is: errReactionsUnknown, code: "CW-1305", text: textNoReactions, status: failed, http: http.StatusBadRequest},
		{is: errNotHere, code: "CW-1309", text: textNotHere, status: failed, http: http.StatusBadRequest},
		{is: errNoVotes, code: "CW-1310", text: textNoVotes, status: failed, http: http.StatusBadRequest},
		{is: errNoDownload, code: "CW-1311", text: textNoDownload, status: retriable, http: http.StatusBadGateway},
		{is: errBlocked, code: "CW-1312", text: textYouBlocked, status: failed, http: http.StatusForbidden},
		{is: bare(bridgev2.ErrEditsNotSupported), code: "CW-1304", text: textNoEdits, status: failed, http: http.StatusBadRequest},
		{is: bare(bridgev2.ErrEditsNotSupportedInPortal), code: "CW-1304", text: textNoEdits, status: failed, http: http.StatusBadRequest},
		{is: bare(bridgev2.ErrReactionsNotSupported), code: "CW-1305", text: textNoReactions, status: failed, http: http.StatusBadRequest},
		{is: bare(bridgev2.ErrRedactionsNotSupported), code: "CW-1306", text: textNoDeletes, status: failed, http: http.StatusBadRequest},
		{is: bare(bridgev2.ErrPollsNotSupported), code: "CW-1307", text: textNoPolls, status: failed, http: http.StatusBadRequest},
	}
}

// unexplained is what users are told of an error that nobody foresaw.
func unexplained() problem {
	return problem{code: "CW-1000", text: textUnexplained, status: retriable, uncertain: true, http: http.StatusInternalServerError}
}

// bare is the error inside one of bridgev2's ready-made statuses, by which it can be recognised.
func bare(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func findProblem(err error) (problem, bool) {
	err = recalled(err)
	for _, p := range problems() {
		if errors.Is(err, p.is) {
			return p, true
		}
	}
	return unexplained(), false
}

// recalled gives an error back the reason that the journal remembers of it.
func recalled(err error) error {
	var code delivery.Recorded
	if !errors.As(err, &code) {
		return err
	}
	for _, p := range problems() {
		if p.code == string(code) {
			return fmt.Errorf("%w: %w", err, p.is)
		}
	}
	return err
}

// Code implements [delivery.Bridge].
func (c *Connector) Code(err error) string {
	p, _ := findProblem(err)
	return p.code
}

// sentence is what users are told, with the code at its end.
func (p problem) sentence(n network.Network) string {
	return fill(p.text, n) + " (" + p.code + ")"
}

// statusOf is an error as the fate of a Matrix event, shown in the room.
func statusOf(err error, n network.Network) bridgev2.MessageStatus {
	p, _ := findProblem(err)
	reason := event.MessageStatusGenericError
	switch {
	case errors.Is(err, network.ErrUnsupported):
		reason = event.MessageStatusUnsupported
	case errors.Is(err, network.ErrNotOptedIn), errors.Is(err, network.ErrRegion):
		reason = event.MessageStatusNoPermission
	}
	return bridgev2.MessageStatus{
		Status:        p.status,
		ErrorReason:   reason,
		InternalError: err,
		Message:       p.sentence(n),
		IsCertain:     !p.uncertain,
		SendNotice:    true,
	}
}

// replyOf is an error as the answer to a command or a request over HTTP.
func replyOf(err error, n network.Network) error {
	p, _ := findProblem(err)
	return bridgev2.WrapRespErrManual(sentence(p.sentence(n)), "CAUSEWAY."+p.code, p.http).WithInternalError(err)
}
