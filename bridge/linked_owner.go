package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

// retireTimeout bounds how long a phone that links a device waits for an earlier one to be taken off.
const retireTimeout = 5 * time.Second

// ownerKey is where it stands which Matrix user had a linked account last; the login itself goes when they log out.
func ownerKey(login networkid.UserLoginID) bridgedb.Key {
	return bridgedb.Key("causeway_owner_" + login)
}

// admits says whether a user may link an account: nobody else here has it, or what they had of it has ended. It is asked once the
// phone has agreed, before anything is stored.
func (c *Connector) admits(ctx context.Context, user id.UserID, again, login networkid.UserLoginID) error {
	if again != "" && again != login {
		return network.ErrWrongAccount
	}
	old, err := c.bridge.GetExistingUserLoginByID(ctx, login)
	if err != nil {
		return fmt.Errorf("failed to look for an older login: %w", err)
	}
	if old == nil {
		return nil
	}
	client, ok := clientOf(old.Client)
	if ok && old.UserMXID == user {
		client.retire(ctx)
	}
	if old.UserMXID == user || ok && client.unlinked() {
		return nil
	}
	if ok {
		c.errands.Go(func() { client.tellUser(textLinkAttempt) })
	}
	return errLinkedElsewhere
}

// retire takes a device that another one replaces off the account, so that the phone does not list both.
func (c *Client) retire(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, retireTimeout)
	defer cancel()
	unlinker, err := ability[network.Unlinker](c)
	if err == nil {
		err = unlinker.Unlink(ctx)
	}
	if err != nil && !c.unlinked() {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("The phone shows a replaced device until it is removed there")
	}
	c.Disconnect()
}

// unlinked says whether the network has ended the link.
func (c *Client) unlinked() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.state.State == network.Refused && errors.Is(c.state.Err, network.ErrUnlinked)
}

// takeOver makes an account its new user's alone. Whoever had it before keeps their rooms, but they lead nowhere any more, and
// nothing of them is shown to the new user.
func (c *Connector) takeOver(ctx context.Context, login networkid.UserLoginID, old *bridgev2.UserLogin, user *bridgev2.User) error {
	owner := id.UserID(c.bridge.DB.KV.Get(ctx, ownerKey(login)))
	if old != nil {
		owner = old.UserMXID
	}
	if owner != "" && owner != user.MXID {
		if err := c.release(ctx, login, old); err != nil {
			return err
		}
	}
	c.bridge.DB.KV.Set(ctx, ownerKey(login), user.MXID.String())
	return nil
}

// release takes everything off an account that belonged to another user.
func (c *Connector) release(ctx context.Context, login networkid.UserLoginID, old *bridgev2.UserLogin) error {
	if old != nil {
		if client, ok := clientOf(old.Client); ok {
			client.tellUser(textTakenOver)
		}
		old.Delete(ctx, status.BridgeState{StateEvent: status.StateLoggedOut}, bridgev2.DeleteOpts{BlockingCleanup: true})
	}
	rooms, err := c.bridge.GetAllPortals(ctx)
	if err != nil {
		return fmt.Errorf("failed to list rooms: %w", err)
	}
	var left []string
	for _, room := range rooms {
		if room.Receiver != login {
			continue
		}
		if room.MXID != "" {
			left = append(left, room.MXID.String())
			c.part(ctx, room)
		}
		if err = room.Delete(ctx); err != nil {
			return fmt.Errorf("failed to give up a room: %w", err)
		}
	}
	if err = c.db.DropLogin(ctx, string(login), left); err != nil {
		return fmt.Errorf("failed to give up what was waiting: %w", err)
	}
	return nil
}

// part takes the bridge out of a room, which stays its user's.
func (c *Connector) part(ctx context.Context, room *bridgev2.Portal) {
	_, err := c.bridge.Bot.SendMessage(ctx, room.MXID, event.EventMessage, &event.Content{
		Parsed: &event.MessageEventContent{MsgType: event.MsgNotice, Body: textRoomReleased, Mentions: &event.Mentions{}},
	}, nil)
	if err == nil {
		err = c.bridge.Bot.DeleteRoom(ctx, room.MXID, true)
	}
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to leave a room that leads nowhere any more")
	}
}
