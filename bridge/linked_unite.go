package bridge

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// underOneName is an event as it is named by what is known now: it may have waited since before a phone number's LID was
// known. One that still goes by a number keeps its person's names as they are until done.
func (c *Client) underOneName(ctx context.Context, e network.Event) (named network.Event, done func(), err error) {
	done = func() {}
	if !c.linked() {
		return e, done, nil
	}
	loose := map[network.Address]network.Address{}
	network.Renamed(e, func(a network.Address) network.Address {
		if a.Kind == network.KindPhone {
			loose[a] = a
		}
		return a
	})
	if len(loose) == 0 {
		return e, done, nil
	}
	c.naming.RLock()
	known := 0
	for phone := range loose {
		lid, err := c.connector.db.LinkedLID(ctx, c.self.String(), phone.User)
		if err != nil {
			c.naming.RUnlock()
			return e, done, fmt.Errorf("%w: %w", bridgev2.ErrDatabaseError, err)
		}
		if lid != "" {
			loose[phone] = network.LID(lid)
			known++
		}
	}
	if known == 0 {
		return e, c.naming.RUnlock, nil
	}
	c.naming.RUnlock()
	for phone, now := range loose {
		if now != phone {
			if err = c.unite(ctx, now, phone); err != nil {
				return e, done, err
			}
		}
	}
	return network.Renamed(e, func(a network.Address) network.Address {
		if now, ok := loose[a]; ok {
			return now
		}
		return a
	}), done, nil
}

// unite makes two addresses one person: what was known by the alias goes on under the person's own address, room and all.
// It may be repeated, and finishes what an earlier time has begun.
func (c *Client) unite(ctx context.Context, person, alias network.Address) error {
	c.connector.alias(person, alias)
	if person == alias {
		return nil
	}
	c.naming.Lock()
	defer c.naming.Unlock()
	old, err := c.connector.bridge.GetExistingGhostByID(ctx, puppet.ID(alias))
	if err != nil {
		return fmt.Errorf("%w: failed to look for a ghost: %w", bridgev2.ErrDatabaseError, err)
	} else if old == nil {
		return nil // nothing was known by the alias
	}
	known, err := profile(old)
	if err != nil {
		return err
	}
	if err = c.connector.learn(ctx, c.login, puppet.Profile{Address: person, Phone: alias, Name: known.Name}); err != nil {
		return err
	}
	if c.setBlocked(ctx, alias, false) {
		c.setBlocked(ctx, person, true)
	}
	moved, err := c.moveChat(ctx, person, alias)
	if err != nil {
		return err
	}
	err = c.connector.db.RenamePerson(ctx, string(c.connector.bridge.ID), c.self.String(), string(puppet.ID(alias)), string(puppet.ID(person)))
	if err != nil {
		return fmt.Errorf("%w: %w", bridgev2.ErrDatabaseError, err)
	}
	return c.replaceGhost(ctx, old, person, moved)
}

// moveChat gives the direct chat of the alias to the person. If both have one, that of the alias leads on to the person's.
func (c *Client) moveChat(ctx context.Context, person, alias network.Address) (moved bool, err error) {
	source, target := portal.Key(alias, c.self), portal.Key(person, c.self)
	room, err := c.connector.bridge.GetExistingPortalByKey(ctx, source)
	if err != nil {
		return false, fmt.Errorf("%w: failed to look for a chat: %w", bridgev2.ErrDatabaseError, err)
	} else if room == nil {
		return false, nil
	}
	// the old room is closed in the background
	result, room, err := c.connector.bridge.ReIDPortal(context.WithoutCancel(ctx), source, target)
	if err != nil {
		return false, fmt.Errorf("failed to give a chat its new name: %w", err)
	}
	if room != nil && room.MXID != "" {
		room.UpdateBridgeInfo(ctx)
	}
	zerolog.Ctx(ctx).Info().Stringer("result", result).Msg("A chat goes on under another address of the same person")
	return true, nil
}

// replaceGhost brings the person's own ghost into the rooms where the alias's was.
func (c *Client) replaceGhost(ctx context.Context, old *bridgev2.Ghost, person network.Address, moved bool) error {
	rooms, err := c.conversationsOf(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", bridgev2.ErrDatabaseError, err)
	}
	direct := portal.Key(person, c.self)
	for _, room := range rooms {
		isIn := c.connector.matrix.StateStore.IsInRoom(ctx, room.MXID, old.Intent.GetMXID())
		if !isIn && !(moved && room.PortalKey == direct) {
			continue
		}
		conversation, err := portal.Conversation(room.PortalKey)
		if err != nil {
			continue
		}
		meta := c.meta(ctx, bridgev2.RemoteEventChatResync, conversation, network.Address{})
		if err = c.queue(&simplevent.ChatResync{EventMeta: meta, GetChatInfoFunc: (&linkedClient{c}).GetChatInfo}); err != nil {
			return err
		}
	}
	return nil
}

// sayAnew readies a message for new content that the person's former ghost has sent: its events go, and bridgev2 sends the
// content as events of its own. Nobody would show an edit of what somebody else has sent.
func (c *Client) sayAnew(ctx context.Context, room *bridgev2.Portal, target network.MessageID) error {
	if !c.linked() || target.Sender == c.self {
		return nil
	}
	parts, err := room.Bridge.DB.Message.GetAllPartsByID(ctx, room.Receiver, portal.MessageID(target))
	if err != nil {
		return fmt.Errorf("%w: %w", bridgev2.ErrDatabaseError, err)
	}
	ghost := room.Bridge.Matrix.GhostIntent(puppet.ID(target.Sender)).GetMXID()
	for i, part := range parts {
		_, isGhost := room.Bridge.Matrix.ParseGhostMXID(part.SenderMXID)
		if !isGhost || part.SenderMXID == ghost || part.SenderID != puppet.ID(target.Sender) || part.HasFakeMXID() {
			continue
		}
		redaction := &event.Content{Parsed: &event.RedactionEventContent{Redacts: part.MXID}}
		extra := &bridgev2.MatrixSendExtra{MessageMeta: part, PartIndex: i}
		if _, err = room.Bridge.Bot.SendMessage(ctx, room.MXID, event.EventRedaction, redaction, extra); err != nil {
			return fmt.Errorf("failed to take out what a former ghost has sent: %w", err)
		}
		part.SetFakeMXID()
		part.SenderMXID = ghost
		if err = room.Bridge.DB.Message.Update(ctx, part); err != nil {
			return fmt.Errorf("%w: %w", bridgev2.ErrDatabaseError, err)
		}
	}
	return nil
}

// alias remembers that two addresses are one person's.
func (c *Connector) alias(person, alias network.Address) {
	if person.IsZero() || alias.IsZero() || person == alias {
		return
	}
	c.people.Lock()
	defer c.people.Unlock()
	if c.known == nil {
		c.known = map[network.Address]network.Address{}
	}
	c.known[person], c.known[alias] = alias, person
}

// aliases are the other addresses of a person, as far as anybody has said.
func (c *Connector) aliases(ctx context.Context, address network.Address) []network.Address {
	c.people.Lock()
	other, ok := c.known[address]
	c.people.Unlock()
	if ok {
		return []network.Address{other}
	}
	ghost, err := c.bridge.GetExistingGhostByID(ctx, puppet.ID(address))
	if err != nil || ghost == nil {
		return nil
	}
	if known, err := profile(ghost); err == nil && !known.Phone.IsZero() && address.Kind == network.KindLID {
		return []network.Address{known.Phone}
	}
	return nil
}
