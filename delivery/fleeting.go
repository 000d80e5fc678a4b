package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
)

// Messages of some logins must not be kept (docs/protocol.md#contract, mode proxy). Their rows are written like all
// others, and forbid doubles and keep the order, but their content is sealed with a key that lives as long as the process.
// After its end nobody can read them. What came is asked for again at its sender; what was to be sent, and the events of
// the homeserver, are read from the homeserver again.

// sealFor seals a payload of a login's row.
func (d *Delivery) sealFor(login networkid.UserLoginID, payload []byte, row []string) []byte {
	if d.options.Fleeting != nil && d.options.Fleeting(login) {
		return d.secret.lockFleeting(payload, row...)
	}
	return d.secret.lock(payload, row...)
}

// fleetingRoom says whether the events of a room must not be kept. Of a room that is not known yet, they must not.
func (d *Delivery) fleetingRoom(ctx context.Context, room id.RoomID) bool {
	if d.options.Fleeting == nil {
		return false
	}
	key, known, err := d.dispatch.Portal(ctx, room)
	return err != nil || !known || d.options.Fleeting(key.Receiver)
}

// forgotten brings back an event whose content nobody can read any more, as far as its row says it. Nil means that the row
// ends or waits, by the verdict.
func (in *Inbox) forgotten(ctx context.Context, lane *inboxLane, row *database.InboxRow) (network.Event, verdict, error) {
	sender, err := network.ParseAddress(row.Sender)
	if err != nil {
		return nil, verdict{}, fmt.Errorf("%w: %w", errForgotten, err)
	}
	switch row.Kind {
	case kindIdentity:
		return network.IdentityEvent{Person: sender}, verdict{}, nil
	case kindMessage, kindReaction, kindEdit, kindRemove, kindUnsupported, kindUndecryptable:
	default:
		return nil, in.end(lane, row, endIgnored), nil
	}
	conversation, err := network.ParseAddress(row.Chat)
	if err != nil {
		return nil, verdict{}, fmt.Errorf("%w: %w", errForgotten, err)
	}
	lost := network.Message{
		ID:   network.MessageID{Conversation: conversation, Sender: sender, ID: row.RemoteID},
		Time: fromMillis(row.OrderTS), Content: network.Undecryptable{},
	}
	if verdict, ok := in.reachable(ctx, lane, row, lost); !ok {
		return nil, verdict, nil
	}
	if row.Kind == kindUndecryptable {
		return network.MessageEvent{Message: lost}, verdict{}, nil
	}
	return nil, in.makeRoom(ctx, row, lost), nil
}

// reachable says whether the sender of a lost message can be asked for it, which nobody needs to if it is in its room.
func (in *Inbox) reachable(ctx context.Context, lane *inboxLane, row *database.InboxRow, lost network.Message) (v verdict, ok bool) {
	key := networkid.PortalKey{ID: networkid.PortalID(row.Chat), Receiver: networkid.UserLoginID(row.Receiver)}
	asker, err := in.asker(ctx, row)
	if err == nil {
		err = asker.Ready()
	}
	known := false
	if err == nil && (row.Kind != kindUndecryptable || row.HoldUntil > 0) {
		known, err = in.d.bridge.Bridged(ctx, key, lost.ID)
	}
	switch {
	case errors.Is(err, ErrGone):
		return in.quarantine(ctx, row, network.MessageEvent{Message: lost}, faultGone), false
	case err != nil:
		zerolog.Ctx(ctx).Info().Err(err).Int64("seq", row.Seq).Msg("A message whose content is gone cannot be asked for yet")
		return verdict{wait: in.lull(lane)}, false
	case known:
		return in.end(lane, row, endRepeat), false
	}
	return verdict{}, true
}

// makeRoom lets a message come again that is lost, and asks for it: its row becomes that of a message which could not be
// opened, which is held until it has come, or for a while; then something stands in its place.
func (in *Inbox) makeRoom(ctx context.Context, row *database.InboxRow, lost network.Message) verdict {
	payload, err := encodeEvent(network.MessageEvent{Message: lost})
	if err != nil {
		return verdict{wait: in.d.timing.RetryFirst}
	}
	held := *row
	held.Kind, held.Target = kindUndecryptable, ""
	// it says nothing that the row does not; but the next process has to ask again
	held.Payload = in.d.secret.lockFleeting(payload, inboxSeal(held)...)
	held.HoldUntil = in.d.now().Add(in.d.timing.Ask).UnixMilli()
	var kept bool
	err = in.d.writer.do(ctx, func(ctx context.Context) (err error) {
		kept, err = in.d.journal.ForgetInbox(ctx, held)
		return err
	})
	if err != nil {
		return verdict{wait: in.d.timing.RetryFirst}
	}
	if kept {
		in.held.Add(1)
	} else {
		in.uncount(row)
	}
	in.asked.Store(askedKey(row), true)
	asker, err := in.asker(ctx, row)
	if err == nil {
		err = asker.AskAgain(ctx, lost.ID, lost.Time)
	}
	if err != nil {
		in.asked.Delete(askedKey(row)) // it is asked for when its time is over
		zerolog.Ctx(ctx).Warn().Err(err).Int64("seq", row.Seq).Msg("Failed to ask for a message whose content is gone")
	}
	return verdict{ended: true}
}

// asker is the client by which the sender of a row is asked.
func (in *Inbox) asker(ctx context.Context, row *database.InboxRow) (network.Asker, error) {
	client, err := in.d.bridge.Client(ctx, networkid.UserLoginID(row.Login))
	if err != nil {
		return nil, err
	}
	asker, ok := client.(network.Asker)
	if !ok {
		return nil, fmt.Errorf("%w: its account cannot ask for messages", ErrGone)
	}
	return asker, nil
}

// recheckAsked comes by a row once more: a message that was asked for makes its room be looked at before it is shown, as it may
// have been shown before it was lost; and what stands for one that was not asked for yet waits until it is.
func (in *Inbox) recheckAsked(ctx context.Context, lane *inboxLane, row *database.InboxRow, event network.Event) (v verdict, ok bool) {
	if _, asked := in.asked.LoadAndDelete(askedKey(row)); asked {
		lane.doubt.open = true
		return in.dropHeld(ctx, row)
	}
	message, isMessage := event.(network.MessageEvent)
	if !isMessage || row.Kind != kindUndecryptable || row.HoldUntil == 0 {
		return verdict{}, true
	}
	if v, ok = in.reachable(ctx, lane, row, message.Message); !ok {
		return v, false
	}
	asker, err := in.asker(ctx, row)
	if err == nil {
		err = asker.AskAgain(ctx, message.Message.ID, message.Message.Time)
	}
	return verdict{wait: in.lull(lane)}, err == nil
}

// dropHeld forgets the row that has kept the place of a message which has come.
func (in *Inbox) dropHeld(ctx context.Context, row *database.InboxRow) (v verdict, ok bool) {
	if row.Kind == kindUndecryptable {
		return verdict{}, true // that row itself, whose time is over
	}
	var dropped bool
	err := in.d.writer.do(ctx, func(ctx context.Context) (err error) {
		dropped, err = in.d.journal.DropAsked(ctx, *row, kindUndecryptable)
		return err
	})
	if err != nil {
		in.asked.Store(askedKey(row), true)
		return verdict{wait: in.d.timing.RetryFirst}, false
	}
	if dropped {
		in.held.Add(-1)
		in.count(row.Login, -1)
	}
	return verdict{}, true
}

// askedKey names a message whatever it turns out to be.
func askedKey(row *database.InboxRow) string {
	return strings.Join([]string{row.Login, row.Chat, row.Sender, row.RemoteID}, " ")
}

// Wake has a login's waiting events tried at once; the bridge calls it when the login is connected.
func (in *Inbox) Wake(login networkid.UserLoginID) {
	in.lanes.wakeWhere(func(key database.InboxLane) bool { return key.Receiver == string(login) })
}

// recall reads a message from the homeserver again, by the way on which it came first.
func (out *Outbox) recall(ctx context.Context, row *outgoing) (message network.Message, err error) {
	raw, err := out.d.dispatch.Fetch(ctx, id.RoomID(row.Room), id.EventID(row.EventID))
	if err != nil && passes(err) {
		return message, fmt.Errorf("%w: failed to read an event again: %w", network.ErrNotConnected, err)
	}
	if err != nil {
		return message, fmt.Errorf("%w: %w", ErrForgotten, err)
	}
	if err = out.d.matrix.again(ctx, raw, fromMillis(row.CreatedAt)); err != nil {
		return message, fmt.Errorf("%w: %w", ErrForgotten, err)
	}
	parts, err := out.d.journal.OutboxOfEvent(ctx, row.EventID)
	if err != nil {
		return message, fmt.Errorf("%w: %w", network.ErrNotConnected, err)
	}
	for _, part := range parts {
		if part.Part != row.Part {
			continue
		}
		row.Payload = part.Payload
		if message, err = out.unseal(row.OutboxRow); err != nil {
			err = fmt.Errorf("%w: %w", ErrForgotten, err)
		}
		return message, err
	}
	return message, ErrForgotten
}

// refill gives a row that was stored before its content again, if nobody could read it any more.
func (out *Outbox) refill(ctx context.Context, row *database.OutboxRow, payload []byte) error {
	if row.Payload == nil {
		return nil
	}
	if _, err := out.d.secret.unlock(row.Payload, outboxSeal(*row)...); !errors.Is(err, errForgotten) {
		return nil
	}
	row.Payload = payload
	return out.d.journal.RefillOutbox(ctx, *row)
}

// again handles a Matrix event that was handled before.
func (m *matrixInbox) again(ctx context.Context, raw json.RawMessage, received time.Time) error {
	var evt event.Event
	if err := json.Unmarshal(raw, &evt); err != nil {
		return fmt.Errorf("failed to read an event: %w", err)
	}
	m.handle(ctx, &evt, received)
	return ctx.Err()
}

// passes says whether what the homeserver refuses now may work later.
func passes(err error) bool {
	var answer mautrix.HTTPError
	if errors.As(err, &answer) && answer.Response != nil {
		kind, _ := faultOf(err)
		return kind == faultTransient || kind == faultCredentials
	}
	return IsTransient(err) || errors.As(err, &answer)
}
