package linked

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
)

// failure puts the sentinel that fits an error of the library's into its chain. Nil stays nil.
func failure(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []struct{ is, means error }{
		{whatsmeow.ErrNotConnected, network.ErrNotConnected},
		{whatsmeow.ErrNotLoggedIn, network.ErrUnlinked},
		{whatsmeow.ErrIQTimedOut, network.ErrOutcomeUnknown},
		{whatsmeow.ErrMessageTimedOut, network.ErrOutcomeUnknown},
		{whatsmeow.ErrNotInGroup, network.ErrNotMember},
		{whatsmeow.ErrGroupNotFound, network.ErrUnknownGroup},
		{whatsmeow.ErrGroupInviteLinkUnauthorized, network.ErrForbidden},
		{whatsmeow.ErrInviteLinkInvalid, network.ErrBadInvite},
		{whatsmeow.ErrInviteLinkRevoked, network.ErrBadInvite},
		{whatsmeow.ErrProfilePictureNotSet, network.ErrNoPicture},
		{whatsmeow.ErrProfilePictureUnauthorized, network.ErrNoPicture},
		{whatsmeow.ErrInvalidDisappearingTimer, network.ErrUnsupported},
		{whatsmeow.ErrInvalidImageFormat, network.ErrUnsupported},
		{whatsmeow.ErrPhoneNumberTooShort, network.ErrBadIdentifier},
		{whatsmeow.ErrPhoneNumberIsNotInternational, network.ErrBadIdentifier},
		{whatsmeow.ErrMediaDownloadFailedWith403, network.ErrMediaGone},
		{whatsmeow.ErrMediaDownloadFailedWith404, network.ErrMediaGone},
		{whatsmeow.ErrMediaDownloadFailedWith410, network.ErrMediaGone},
		{whatsmeow.ErrNoURLPresent, network.ErrMediaGone},
		{whatsmeow.ErrTooShortFile, network.ErrMediaBroken},
		{whatsmeow.ErrInvalidMediaHMAC, network.ErrMediaBroken},
		{whatsmeow.ErrInvalidMediaEncSHA256, network.ErrMediaBroken},
		{whatsmeow.ErrInvalidMediaSHA256, network.ErrMediaBroken},
		{whatsmeow.ErrNoSession, network.ErrNoEncryption},
		{whatsmeow.ErrOriginalMessageSecretNotFound, network.ErrUnsupported},
		{errExpired, network.ErrTemporary},
		{context.DeadlineExceeded, network.ErrOutcomeUnknown},
		{context.Canceled, network.ErrOutcomeUnknown},
	} {
		if errors.Is(err, known.is) {
			return fmt.Errorf("%w: %w", known.means, err)
		}
	}
	var answer *whatsmeow.IQError
	if errors.As(err, &answer) {
		return fmt.Errorf("%w (code %d)", meaning(answer.Code), answer.Code) // its text holds the stanza
	}
	var cut *whatsmeow.DisconnectedError
	if errors.As(err, &cut) {
		return fmt.Errorf("%w: the connection ended meanwhile", network.ErrOutcomeUnknown)
	}
	return err
}

// meaning is what a code of the server's says.
func meaning(code int) error {
	switch code {
	case 401, 403:
		return network.ErrForbidden
	case 404, 410:
		return network.ErrUnknownGroup
	case 406, 409:
		return network.ErrUnsupported
	case 429:
		return network.ErrRateLimited
	case 419:
		return network.ErrTooLarge
	case 500, 503, 530:
		return network.ErrTemporary
	}
	return network.ErrRejected
}

// ended is why the network ended the login. The phone's user took the device off, or the network locked the account.
func ended(reason events.ConnectFailureReason) error {
	switch reason {
	case events.ConnectFailureUnknownLogout:
		return &network.BanError{}
	case events.ConnectFailureMainDeviceGone:
		return network.ErrLocked
	}
	return network.ErrUnlinked
}

// banned is a ban for some time.
func banned(ban *events.TemporaryBan) error {
	answer := &network.BanError{Reason: banReason(ban.Code)}
	if ban.Expire > 0 {
		answer.Until = time.Now().Add(ban.Expire)
	}
	return answer
}

func banReason(code events.TempBanReason) string {
	switch code {
	case events.TempBanSentToTooManyPeople:
		return "too many messages to people who do not have you in their address books"
	case events.TempBanBlockedByUsers:
		return "too many people blocked you"
	case events.TempBanCreatedTooManyGroups:
		return "too many groups with people who do not have you in their address books"
	case events.TempBanSentTooManySameMessage:
		return "the same message to too many people"
	case events.TempBanBroadcastList:
		return "too many messages to a broadcast list"
	}
	return ""
}

// refused is why the network would not let the login in.
func refused(reason events.ConnectFailureReason) error {
	switch reason {
	case events.ConnectFailureGeneric, events.ConnectFailureBadUserAgent:
		return fmt.Errorf("%w: connecting failed with code %d", network.ErrRejected, int(reason))
	}
	return fmt.Errorf("%w: connecting failed with code %d", network.ErrTemporary, int(reason))
}

// unix is a time in the network's seconds, zero for the zero time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
