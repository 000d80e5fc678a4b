package database

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/util/dbutil"

	"causeway/network"
)

const (
	insertPushDeliveryQuery = `
		INSERT INTO cw_push_delivery (id, received_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`
	forgetPushDeliveriesQuery = `
		DELETE FROM cw_push_delivery WHERE received_at<=$1`
	insertPushEventQuery = `
		INSERT INTO cw_push_event (delivery_id, seq, network, login_id, type, detail, sent_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	getPushEventsQuery = `
		SELECT delivery_id, seq, network, login_id, type, detail, sent_at FROM cw_push_event ORDER BY sent_at, delivery_id, seq LIMIT $1`
	deletePushEventQuery = `
		DELETE FROM cw_push_event WHERE delivery_id=$1 AND seq=$2`
)

// PushEvent is something that the network announced and nobody has acted on yet.
type PushEvent struct {
	// DeliveryID and Seq name the event: the call that it came with, and its place in it.
	DeliveryID string
	Seq        int
	Network    network.Network
	// LoginID is the account's network.Address as text; empty for what is about the provider itself.
	LoginID string
	// Type and Detail are the network's own words; Detail is JSON.
	Type   string
	Detail string
	SentAt time.Time
}

// InsertPush stores a call and its events together; false means that a call of
// this id was stored before, and then nothing is.
func (db *Database) InsertPush(ctx context.Context, deliveryID string, at time.Time, events []PushEvent) (fresh bool, err error) {
	err = db.DoTxn(ctx, nil, func(ctx context.Context) error {
		result, err := db.Exec(ctx, insertPushDeliveryQuery, deliveryID, at.UnixMilli())
		if err != nil {
			return err
		}
		inserted, err := result.RowsAffected()
		if fresh = inserted == 1; err != nil || !fresh {
			return err
		}
		for _, e := range events {
			_, err = db.Exec(ctx, insertPushEventQuery, deliveryID, e.Seq, e.Network, e.LoginID, e.Type, e.Detail, e.SentAt.UnixMilli())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("failed to store a call: %w", err)
	}
	return fresh, nil
}

// PushEvents is the events that wait, oldest first, at most limit.
func (db *Database) PushEvents(ctx context.Context, limit int) ([]*PushEvent, error) {
	rows, err := db.Query(ctx, getPushEventsQuery, limit)
	return dbutil.NewRowIterWithError(rows, scanPushEvent, err).AsList()
}

// DeletePushEvent removes an event that was acted on.
func (db *Database) DeletePushEvent(ctx context.Context, e *PushEvent) error {
	if _, err := db.Exec(ctx, deletePushEventQuery, e.DeliveryID, e.Seq); err != nil {
		return fmt.Errorf("failed to delete an event: %w", err)
	}
	return nil
}

// ForgetPushDeliveries forgets the calls that were taken up to a time.
func (db *Database) ForgetPushDeliveries(ctx context.Context, until time.Time) error {
	if _, err := db.Exec(ctx, forgetPushDeliveriesQuery, until.UnixMilli()); err != nil {
		return fmt.Errorf("failed to forget calls: %w", err)
	}
	return nil
}

func scanPushEvent(row dbutil.Scannable) (*PushEvent, error) {
	var e PushEvent
	var sent int64
	if err := row.Scan(&e.DeliveryID, &e.Seq, &e.Network, &e.LoginID, &e.Type, &e.Detail, &sent); err != nil {
		return nil, fmt.Errorf("failed to read an event: %w", err)
	}
	e.SentAt = time.UnixMilli(sent)
	return &e, nil
}
