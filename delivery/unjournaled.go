package delivery

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/database"
	"causeway/network"
)

// What is here runs only in programs built with the tag nojournal, which benchmarks compare the journal with. It is how
// bridgev2 delivers by itself: its queues in memory, random transaction ids, and an acknowledgement once an event is in
// a queue. A death loses what is in the queues.

// pass puts an event into bridgev2's queue, once the transaction that has opened it is on disk.
func (in *Inbox) pass(ctx context.Context, login networkid.UserLoginID, event network.Event) error {
	queue := func(err error) error {
		if err == nil {
			err = in.handle(in.d.log.WithContext(context.Background()), login, event)
		}
		if errors.Is(err, ErrIgnored) {
			return nil
		}
		return err
	}
	if !database.Joint(ctx) {
		return queue(nil)
	}
	database.AfterCommit(ctx, queue)
	return nil
}

// pass sends a message while bridgev2 waits in the portal's queue.
func (out *Outbox) pass(ctx context.Context, msg Outgoing) (network.MessageID, error) {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	msg.Message.ID.ID = msg.NewID(seed)
	client, err := out.d.bridge.Client(ctx, msg.Login)
	if err != nil {
		return network.MessageID{}, err
	}
	sent, err := client.Send(ctx, msg.Message)
	if err != nil {
		return network.MessageID{}, err
	}
	record := msg.record()
	if err = record.Prepare(ctx); err == nil {
		err = record.Write(ctx, msg.Message.ID)
	}
	if err != nil {
		return network.MessageID{}, err
	}
	report := Report{
		Login: msg.Login, Room: msg.Event.RoomID, Event: msg.Event.ID, Author: msg.Event.Sender, EventType: msg.Event.Type,
		Progress: Sent, Time: sent.Time,
	}
	if err = out.d.bridge.Report(ctx, report); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to tell an author how a message fares")
	}
	return msg.Message.ID, nil
}
