package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/delivery"
	"causeway/network"
	"causeway/puppet"
)

const (
	// historyPatience is how long after the last piece of the past the rest is waited for, and historyLimit for
	// the first one after linking.
	historyPatience = 30 * time.Second
	historyLimit    = 60 * time.Second
	// historyPause is between two looks whether everything has reached its room.
	historyPause = 2 * time.Second
	// progressStep is how much must have come, in percent, before it is told again.
	progressStep = 25
)

// The past comes in pieces, the newest messages of all chats first, older ones in later pieces. A homeserver takes messages in
// the order in which they are shown. So all of it is set aside in the journal, with everything that happens meanwhile,
// and put in order when the phone has sent everything (docs/decisions/0012-history-through-the-journal.md).

// gathering says whether the login still waits for its past.
func (c *Client) gathering() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	metadata, ok := c.login.Metadata.(*LoginMetadata)
	return ok && metadata != nil && metadata.Gathering
}

// setAside has stage set something aside if the login still waits for its past, and says whether it did. The release of the past
// waits for that, so that nothing stays aside which it has not seen.
func (c *Client) setAside(stage func() error) (aside bool, err error) {
	c.staging.RLock()
	defer c.staging.RUnlock()
	if !c.gathering() {
		return false, nil
	}
	return true, stage()
}

// gather waits until the past is complete, and then releases it. It runs as long as the login is connected.
func (c *Client) gather(ctx context.Context, pieces <-chan network.HistoryEvent) {
	patience := time.NewTimer(historyLimit)
	defer patience.Stop()
	told := 0
	for {
		select {
		case piece := <-pieces:
			patience.Reset(historyPatience)
			if told == 0 || piece.Progress >= told+progressStep && piece.Progress < 100 {
				c.tellProgress(piece.Progress, told == 0)
				told = max(piece.Progress, 1)
			}
			if piece.Progress < 100 {
				continue
			}
		case <-patience.C:
		case <-ctx.Done():
			return
		}
		c.release(ctx)
		return
	}
}

func (c *Client) tellProgress(percent int, first bool) {
	if first {
		c.tellUser(textHistoryBegins)
		return
	}
	c.tellUser(fmt.Sprintf(textHistoryProgress, percent))
}

// release puts everything that was set aside in order and brings it on its way.
func (c *Client) release(ctx context.Context) {
	log := zerolog.Ctx(ctx)
	config := c.connector.config.Linked.History
	c.staging.Lock()
	released, err := c.connector.delivery.Inbox.Release(ctx, c.login.ID, delivery.ReleaseLimits{Chats: config.MaxChats, Messages: config.MaxMessages})
	if err == nil {
		c.remembering(ctx, func(metadata *LoginMetadata) bool {
			metadata.Gathering = false
			return true
		})
	}
	c.staging.Unlock()
	if err != nil {
		log.Err(err).Msg("Failed to release older messages; it is tried again at the next start")
		return
	}
	log.Info().Int("chats", released.Chats).Int("messages", released.Messages).Int("left_out", released.LeftOut).Msg("Older messages are on their way")
	if released.Messages == 0 {
		return
	}
	c.tellUser(fmt.Sprintf(textHistoryComes, released.Messages, released.Chats))
	for c.connector.delivery.Inbox.Waiting(c.login.ID) > 0 {
		if !sleep(ctx, historyPause) {
			return
		}
	}
	c.tellUser(textHistoryDone)
}

// historyArrived reads a piece of the past and sets its messages aside. What fails for good is told and left out.
func (c *Client) historyArrived(ctx context.Context, e network.HistoryEvent) error {
	history, err := ability[network.History](c)
	if err != nil {
		return err
	}
	if !c.gathering() || !e.Recent {
		// without a way to put messages before others, only a new login's rooms can take them in order
		return forget(ctx, history, e)
	}
	err = history.ReadHistory(ctx, e.Reference, func(chat network.HistoryChat) error { return c.stageChat(ctx, chat) })
	switch {
	case errors.Is(err, network.ErrMediaGone), errors.Is(err, network.ErrTooLarge), errors.Is(err, network.ErrMediaBroken):
		p, _ := findProblem(err)
		c.tellUser(fmt.Sprintf(textHistoryFailed, p.code))
	case err != nil:
		return fmt.Errorf("failed to read older messages: %w", err)
	}
	c.notePiece(e)
	return forget(ctx, history, e)
}

func forget(ctx context.Context, history network.History, e network.HistoryEvent) error {
	if err := history.ForgetHistory(ctx, e.Reference); err != nil {
		// it ends by itself after some days
		zerolog.Ctx(ctx).Debug().Err(err).Msg("The network was not told that a piece of history is no longer needed")
	}
	return nil
}

// notePiece tells whoever waits for the past that a piece has come.
func (c *Client) notePiece(e network.HistoryEvent) {
	c.mutex.Lock()
	pieces := c.pieces
	c.mutex.Unlock()
	select {
	case pieces <- e:
	default:
	}
}

// stageChat sets a part of a conversation of the past aside, its messages in the order in which they were written, and after
// them how the chat stands.
func (c *Client) stageChat(ctx context.Context, chat network.HistoryChat) error {
	c.connector.alias(chat.Conversation, chat.Alias)
	if !chat.Alias.IsZero() && puppet.IsPerson(chat.Conversation) {
		if err := c.connector.learn(ctx, c.login, puppet.Profile{Address: chat.Conversation, Phone: chat.Alias}); err != nil {
			return err
		}
	}
	events := make([]network.Event, 0, len(chat.Messages)+1)
	for _, message := range oldestFirst(chat.Messages) {
		events = append(events, message)
	}
	if len(events) > 0 {
		events = append(events, network.ChatEvent{
			Conversation: chat.Conversation, Time: chat.Last, Pinned: standing(chat.Pinned), Archived: standing(chat.Archived),
			Mute: muteOf(chat.Mute), Unread: unreadOf(chat), Timer: timerOf(chat),
		})
	}
	// what comes too late is left out, as in historyArrived
	_, err := c.setAside(func() error { return c.connector.delivery.Inbox.Stage(ctx, c.login.ID, events) })
	return err
}

func standing(is bool) *bool {
	if !is {
		return nil
	}
	return &is
}

func muteOf(mute network.Mute) *network.Mute {
	if !mute.On {
		return nil
	}
	return &mute
}

// unreadOf leaves a chat with unread messages as it is: in the room they are unread as well.
func unreadOf(chat network.HistoryChat) *bool {
	if chat.Unread > 0 && !chat.MarkedUnread {
		return nil
	}
	return &chat.MarkedUnread
}

func timerOf(chat network.HistoryChat) *time.Duration {
	if chat.Timer == 0 || chat.Conversation.IsGroup() {
		return nil
	}
	return &chat.Timer
}

// oldestFirst turns messages around that come newest first, except that what changes a message stays after it.
func oldestFirst(messages []network.MessageEvent) []network.MessageEvent {
	turned := make([]network.MessageEvent, 0, len(messages))
	for end := len(messages); end > 0; {
		start := end - 1
		for start > 0 && changes(messages[start].Message.Content) {
			start--
		}
		turned = append(turned, messages[start:end]...)
		end = start
	}
	return turned
}

func changes(content network.Content) bool {
	switch content.(type) {
	case network.Reaction, network.Edit, network.Remove, network.Vote:
		return true
	}
	return false
}

// conversationsOf are the login's rooms, the newest first.
func (c *Client) conversationsOf(ctx context.Context) ([]*bridgev2.Portal, error) {
	rooms, err := c.connector.bridge.GetAllPortalsWithMXID(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to list rooms: %w", err)
	}
	return slices.DeleteFunc(rooms, func(room *bridgev2.Portal) bool { return room.Receiver != c.login.ID }), nil
}
