package linked

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
)

// take takes an event of the library. Only after true is it acknowledged to the network; after false the connection
// ends, as nothing else makes the network send it again, and nothing more is taken meanwhile.
func (l *link) take(event any) bool {
	l.owner.taking.Lock()
	defer l.owner.taking.Unlock()
	if l.halted.Load() {
		return false
	}
	err := guarded(func() error { return l.dispatch(l.ctx, event) })
	if err == nil {
		return true
	}
	l.owner.cfg.Log.Warn().Err(err).Type("event", event).Msg("An event was not taken; the network will send it again")
	l.halted.Store(true)
	l.lib.Disconnect() // at once: the library acknowledges some events whatever their handler says
	l.fail(fmt.Errorf("%w: an event was not taken: %w", network.ErrTemporary, err))
	return false
}

// dispatch knows what to do with each event of the library. What has no case is of no interest.
func (l *link) dispatch(ctx context.Context, event any) error {
	switch e := event.(type) {
	case *events.Message:
		return l.messageCame(ctx, e)
	case *events.UndecryptableMessage:
		return l.undecryptableCame(ctx, e)
	case *events.Receipt:
		return l.receiptCame(ctx, e)
	case *events.ChatPresence:
		return l.typingCame(ctx, e)
	case *events.IdentityChange:
		return l.identityChanged(ctx, e)

	case *events.GroupInfo:
		return l.groupChanged(ctx, e)
	case *events.JoinedGroup:
		return l.groupJoined(ctx, e)
	case *events.Picture:
		return l.pictureChanged(ctx, e)
	case *events.PushName:
		return l.pushNameChanged(ctx, e)
	case *events.BusinessName:
		return l.businessNameChanged(ctx, e)
	case *events.Contact:
		return l.contactChanged(ctx, e)

	case *events.Mute:
		return l.muted(ctx, e)
	case *events.Pin:
		return l.chatChanged(ctx, e.JID, e.Timestamp, func(change *network.ChatEvent) { change.Pinned = e.Action.Pinned })
	case *events.Archive:
		return l.chatChanged(ctx, e.JID, e.Timestamp, func(change *network.ChatEvent) { change.Archived = e.Action.Archived })
	case *events.MarkChatAsRead:
		return l.markedUnread(ctx, e)
	case *events.ClearChat:
		return l.chatChanged(ctx, e.JID, e.Timestamp, func(change *network.ChatEvent) { change.Cleared = !e.FromFullSync })
	case *events.DeleteChat:
		return l.chatChanged(ctx, e.JID, e.Timestamp, func(change *network.ChatEvent) { change.Deleted = !e.FromFullSync })
	case *events.DeleteForMe:
		return l.deletedForMe(ctx, e)
	case *events.AppStateSyncError:
		l.stateBroke(ctx, e)

	case *events.CallOffer:
		return l.called(ctx, e.BasicCallMeta, offersVideo(e), network.CallRinging)
	case *events.CallOfferNotice:
		return l.called(ctx, e.BasicCallMeta, e.Media == "video", network.CallRinging)
	case *events.CallAccept:
		return l.called(ctx, e.BasicCallMeta, false, network.CallElsewhere)
	case *events.CallReject:
		return l.called(ctx, e.BasicCallMeta, false, network.CallDeclined)
	case *events.CallTerminate:
		return l.callEnded(ctx, e)

	case *events.Connected:
		l.connected(ctx)
	case *events.PushNameSetting:
		l.tasks.Go(func() { l.sendPresence(ctx) }) // a new device learns its name late, and has no presence before
	case *events.KeepAliveTimeout:
		if e.ErrorCount >= missedPings {
			l.fail(fmt.Errorf("%w: the server does not answer", network.ErrTemporary))
		}
	case *events.Disconnected:
		l.fail(fmt.Errorf("%w: the connection was closed", network.ErrTemporary))
	case *events.ManualLoginReconnect:
		l.fail(fmt.Errorf("%w: the server asked to connect anew", network.ErrTemporary))
	case *events.StreamError:
		l.fail(fmt.Errorf("%w: stream error %.20q", network.ErrTemporary, e.Code))
	case *events.StreamReplaced:
		l.fail(network.ErrReplaced)
	case *events.LoggedOut:
		l.fail(ended(e.Reason))
	case *events.TemporaryBan:
		l.fail(banned(e))
	case *events.ClientOutdated:
		l.fail(network.ErrOutdated)
	case *events.ConnectFailure:
		l.fail(refused(e.Reason))
	}
	return nil
}

// connected lets messages out. The library calls it once for a connection.
func (l *link) connected(ctx context.Context) {
	l.tasks.Go(func() {
		l.sendPresence(ctx)
		l.catchUp(ctx)
	})
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
}

// sendPresence says whether the account is online.
func (l *link) sendPresence(ctx context.Context) {
	state := types.PresenceUnavailable
	if l.owner.cfg.Online {
		state = types.PresenceAvailable
	}
	if err := l.lib.SendPresence(ctx, state); err != nil {
		l.owner.cfg.Log.Debug().Err(err).Msg("The account's presence was not sent")
	}
}

// catchUp fetches the shared state of which nothing has come: a connection may have ended in the middle of that.
func (l *link) catchUp(ctx context.Context) {
	if key, err := l.device.AppStateKeys.GetLatestAppStateSyncKeyID(ctx); err != nil || key == nil {
		return // the phone sends the keys first, and the library fetches the state then
	}
	for _, part := range appstate.AllPatchNames {
		if err := l.lib.FetchAppState(ctx, part, false, true); err != nil {
			l.owner.cfg.Log.Debug().Err(err).Str("part", string(part)).Msg("The shared state was not fetched")
		}
	}
}

// hand gives an event to the bridge, and before it what became known of people.
func (l *link) hand(ctx context.Context, event network.Event) error {
	if err := l.tellAliases(ctx); err != nil {
		return err
	}
	return l.owner.cfg.Handler(ctx, event)
}

// tellAliases tells whom phone numbers belong to that stood for people until now.
func (l *link) tellAliases(ctx context.Context) error {
	found, err := l.own.aliases.found(ctx)
	if err != nil {
		return err
	}
	for _, alias := range found {
		err = l.owner.cfg.Handler(ctx, network.PersonEvent{Person: network.LID(alias.LID), Alias: network.Phone(alias.Phone)})
		if err == nil {
			err = l.own.aliases.told(ctx, alias.Phone)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// messageCame takes a message, one's own from other devices too.
func (l *link) messageCame(ctx context.Context, e *events.Message) error {
	l.owner.modes.put(plain(e.Info.Chat), e.Info.AddressingMode)
	if e.Info.IsFromMe && l.isPhone(e.Info.Sender) {
		if err := l.phoneSeen(ctx, e.Info.Timestamp); err != nil {
			return err
		}
	}
	if piece := e.Message.GetProtocolMessage().GetHistorySyncNotification(); piece != nil && e.Info.IsFromMe {
		return l.historyCame(ctx, e, piece)
	}
	read := reader{names: l.own, self: l.owner.Self(), keys: l.lib}
	event, err := read.event(ctx, e)
	if err != nil || event == nil {
		return err
	}
	return l.hand(ctx, l.openable(event))
}

// undecryptableCame takes a message that could not be opened.
func (l *link) undecryptableCame(ctx context.Context, e *events.UndecryptableMessage) error {
	read := reader{names: l.own, self: l.owner.Self(), keys: l.lib}
	event, err := read.frame(ctx, &e.Info)
	message, isMessage := event.(network.MessageEvent)
	if err != nil || !isMessage {
		return err
	}
	message.Message.Content = network.Undecryptable{
		ViewOnce: e.UnavailableType == events.UnavailableTypeViewOnce,
		Hidden:   e.DecryptFailMode == events.DecryptFailHide,
	}
	return l.hand(ctx, message)
}

// receiptCame takes a receipt of another person, or of the user's own other devices.
func (l *link) receiptCame(ctx context.Context, e *events.Receipt) error {
	if l.isPhone(e.Sender) {
		if err := l.phoneSeen(ctx, e.Timestamp); err != nil {
			return err
		}
	}
	receipt := network.ReceiptEvent{IDs: e.MessageIDs, Time: e.Timestamp}
	switch e.Type {
	case types.ReceiptTypeDelivered, types.ReceiptTypeInactive:
		receipt.Kind = network.Delivered
	case types.ReceiptTypeRead, types.ReceiptTypePlayed, types.ReceiptTypeReadSelf, types.ReceiptTypePlayedSelf:
		receipt.Kind = network.Read
	default:
		return nil // between devices
	}
	var err error
	if receipt.Conversation, err = l.own.address(ctx, e.Chat); err == nil {
		receipt.Reader, err = l.own.address(ctx, e.Sender)
	}
	if errors.Is(err, errNobody) || len(e.MessageIDs) == 0 {
		return nil
	} else if err != nil {
		return err
	}
	if receipt.Reader == l.owner.Self() {
		if receipt.Kind != network.Read {
			return nil
		}
		receipt.Sender = receipt.Conversation
		if receipt.Conversation.IsGroup() || !e.MessageSender.IsEmpty() {
			receipt.Sender, err = l.own.address(ctx, e.MessageSender)
		}
		if errors.Is(err, errNobody) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return l.hand(ctx, receipt)
}

// typingCame takes that somebody types.
func (l *link) typingCame(ctx context.Context, e *events.ChatPresence) error {
	conversation, err := l.own.address(ctx, e.Chat)
	if err == nil {
		var sender network.Address
		if sender, err = l.own.address(ctx, e.Sender); err == nil && sender != l.owner.Self() {
			return l.hand(ctx, network.TypingEvent{Conversation: conversation, Sender: sender, Typing: e.State == types.ChatPresenceComposing})
		}
	}
	return unlessNobody(err)
}

// identityChanged takes that somebody has a new identity key.
func (l *link) identityChanged(ctx context.Context, e *events.IdentityChange) error {
	person, err := l.own.address(ctx, e.JID)
	if err != nil {
		return unlessNobody(err)
	} else if person == l.owner.Self() {
		return nil
	}
	return l.hand(ctx, network.IdentityEvent{Person: person})
}

// unlessNobody keeps an error, except that of somebody for whom there is no room.
func unlessNobody(err error) error {
	if errors.Is(err, errNobody) {
		return nil
	}
	return err
}
