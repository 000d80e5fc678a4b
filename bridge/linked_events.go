package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
)

// handleLinked brings what only linked accounts hear of to its room, or to the user.
func (c *Client) handleLinked(ctx context.Context, e network.Event) error {
	switch e := e.(type) {
	case network.GroupEvent:
		return c.groupChanged(ctx, e)
	case network.PersonEvent:
		return c.personChanged(ctx, e)
	case network.ChatEvent:
		return c.chatChanged(ctx, e)
	case network.CallEvent:
		return c.callArrived(ctx, e)
	case network.HistoryEvent:
		return c.historyArrived(ctx, e)
	case network.PhoneEvent:
		c.tellPhone(e)
		return nil
	case network.OmittedEvent:
		c.tellOmitted(ctx, e)
		return nil
	}
	return fmt.Errorf("failed to handle a network event: no case for %T", e)
}

// takeTurn waits until the homeserver can be asked for another room, or another old message; leave gives the place free.
func (c *Client) takeTurn(ctx context.Context, msg network.Message) (leave func(), err error) {
	places := c.connector.past
	has, err := c.hasRoom(ctx, msg.ID.Conversation)
	switch {
	case err != nil:
		return nil, err
	case !has:
		places = c.connector.founding
	case time.Since(msg.Time) < oldAge:
		return func() {}, nil
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// chatChanged shows how the user has put a chat on another device of theirs.
func (c *Client) chatChanged(ctx context.Context, e network.ChatEvent) error {
	switch {
	case e.Deleted:
		meta := c.meta(ctx, bridgev2.RemoteEventChatDelete, e.Conversation, c.self)
		return ignoring(c.queue(&simplevent.ChatDelete{EventMeta: meta, OnlyForMe: true}))
	case e.Message != nil:
		return ignoring(c.takeOut(ctx, *e.Message, c.self, e.Time))
	}
	if e.Mute != nil || e.Pinned != nil || e.Archived != nil || e.Timer != nil {
		if err := c.chatInfoChanged(ctx, e); err != nil {
			return err
		}
	}
	if e.Unread == nil {
		return nil
	}
	return c.unreadChanged(ctx, e.Conversation, *e.Unread, e.Time)
}

func (c *Client) chatInfoChanged(ctx context.Context, e network.ChatEvent) error {
	by := c.self
	if !e.By.IsZero() {
		by = e.By
	}
	meta := c.meta(ctx, bridgev2.RemoteEventChatInfoChange, e.Conversation, by)
	meta.Timestamp = e.Time
	info := &bridgev2.ChatInfo{UserLocal: &bridgev2.UserLocalPortalInfo{}}
	meta.PreHandleFunc = func(_ context.Context, room *bridgev2.Portal) { c.noteStanding(room, e, info.UserLocal) }
	if e.Timer != nil {
		info.Disappear = ptr.Ptr(portal.Timer(*e.Timer))
	}
	return ignoring(c.queue(&simplevent.ChatInfoChange{EventMeta: meta, ChatInfoChange: &bridgev2.ChatInfoChange{ChatInfo: info}}))
}

// noteStanding remembers how the user's devices have a chat, and says what of it the user's Matrix clients show.
func (c *Client) noteStanding(room *bridgev2.Portal, e network.ChatEvent, local *bridgev2.UserLocalPortalInfo) {
	metadata := metadataOf(room)
	if e.Pinned != nil {
		metadata.Pinned = *e.Pinned
	}
	if e.Archived != nil {
		metadata.Archived = *e.Archived
	}
	if e.Pinned != nil || e.Archived != nil {
		local.Tag = ptr.Ptr(c.tagOf(metadata))
	}
	if mute := e.Mute; mute != nil {
		until := bridgev2.Unmuted
		if mute.On {
			until = mute.Until
			if until.IsZero() {
				until = event.MutedForever
			}
		}
		local.MutedUntil = &until
	}
}

// tagOf is the room tag of a chat that is pinned or archived, empty for all others.
func (c *Client) tagOf(metadata *portal.Metadata) event.RoomTag {
	tags := c.connector.config.Linked.Tags
	switch {
	case metadata.Archived:
		return tags.Archived
	case metadata.Pinned:
		return tags.Pinned
	}
	return ""
}

// unreadChanged marks a chat as unread, or as read up to now.
func (c *Client) unreadChanged(ctx context.Context, conversation network.Address, unread bool, at time.Time) error {
	meta := c.meta(ctx, bridgev2.RemoteEventMarkUnread, conversation, c.self)
	err := ignoring(c.queue(&simplevent.MarkUnread{EventMeta: meta, Unread: unread}))
	if unread || err != nil {
		return err
	}
	if at.IsZero() {
		at = time.Now()
	}
	meta = c.meta(ctx, bridgev2.RemoteEventReadReceipt, conversation, c.self)
	meta.Timestamp = at
	return ignoring(c.queue(&simplevent.Receipt{EventMeta: meta, ReadUpTo: at}))
}

// tellPhone warns the user before the network takes a phone that is gone for an end of the link.
func (c *Client) tellPhone(e network.PhoneEvent) {
	limit := time.Duration(c.connector.config.Linked.PhoneOfflineWarning)
	switch {
	case !e.Away:
		c.tellUser(textPhoneBack)
	case limit > 0:
		c.tellUser(fmt.Sprintf(textPhoneAway, e.Seen.UTC().Format("2 January 2006")))
	}
}

// tellOmitted tells the user once of each kind of thing that is not shown at all.
func (c *Client) tellOmitted(ctx context.Context, e network.OmittedEvent) {
	if c.firstWord(ctx, e.What) {
		c.tellUser(fmt.Sprintf(textOmitted, e.What))
	}
}

// remembering changes what is remembered of the login, and saves it if change says that it has changed.
func (c *Client) remembering(ctx context.Context, change func(metadata *LoginMetadata) bool) {
	c.mutex.Lock()
	metadata, ok := c.login.Metadata.(*LoginMetadata)
	if !ok || metadata == nil {
		metadata = &LoginMetadata{}
		c.login.Metadata = metadata
	}
	changed := change(metadata)
	c.mutex.Unlock()
	if !changed {
		return
	}
	if err := c.login.Save(ctx); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to save what is remembered of a login")
	}
}

// ignoring is nil where bridgev2 had nothing to do, as for a chat without a room.
func ignoring(err error) error {
	if isIgnored(err) {
		return nil
	}
	return err
}

func isIgnored(err error) bool { return errors.Is(err, delivery.ErrIgnored) }
