// Package client is a small Matrix client for end-to-end tests and the demo: it
// follows /sync, remembers what its user has seen, and can wait for something to appear.
//
// It is not a check of compatibility: it shares its Matrix library with the bridge,
// so real clients of other origin have to confirm what it sees. It does not encrypt.
package client

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// syncFilter asks for long timelines, so that no gap opens, and for all members.
const syncFilter = `{"room":{"timeline":{"limit":1000},"state":{"lazy_load_members":false}}}`

const (
	syncTimeout = 10 * time.Second
	retryPause  = 200 * time.Millisecond
)

// Client is one user's client.
type Client struct {
	// Matrix is the connection underneath, for what this package has no word for.
	Matrix *mautrix.Client

	stop    context.CancelFunc
	stopped chan struct{}
	// syncer passes on what encryption needs, once there is any.
	syncer atomic.Pointer[mautrix.DefaultSyncer]

	mu      sync.Mutex
	rooms   map[id.RoomID]*Room
	order   []id.RoomID
	changed chan struct{}
	seen    []string
}

// Open starts following the account that matrix is logged in to, after a first sync.
func Open(ctx context.Context, matrix *mautrix.Client) (*Client, error) {
	patient := *matrix.Client
	if patient.Transport == nil {
		patient.Transport = http.DefaultTransport
	}
	patient.Transport = again{patient.Transport}
	matrix.Client = &patient
	c := &Client{
		Matrix: matrix, stopped: make(chan struct{}),
		rooms: map[id.RoomID]*Room{}, changed: make(chan struct{}),
	}
	first, err := matrix.SyncRequest(ctx, 0, "", syncFilter, false, event.PresenceOnline)
	if err != nil {
		return nil, fmt.Errorf("failed to sync %s: %w", matrix.UserID, err)
	}
	c.take(first)
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	go c.follow(following, first.NextBatch)
	return c, nil
}

// Close stops following.
func (c *Client) Close() {
	c.stop()
	<-c.stopped
}

// UserID is the account's Matrix id.
func (c *Client) UserID() id.UserID { return c.Matrix.UserID }

func (c *Client) follow(ctx context.Context, since string) {
	defer close(c.stopped)
	for ctx.Err() == nil {
		news, err := c.Matrix.SyncRequest(ctx, int(syncTimeout.Milliseconds()), since, syncFilter, false, event.PresenceOnline)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
			continue
		}
		c.take(news)
		if syncer := c.syncer.Load(); syncer != nil {
			_ = syncer.ProcessResponse(ctx, news, since) // a story misses what was not understood
		}
		since = news.NextBatch
	}
}

// Wait returns when the condition holds. It is asked again whenever something new was seen.
func (c *Client) Wait(ctx context.Context, what string, holds func() bool) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s waited for %s: %w", c.UserID(), what, ctx.Err())
		}
	}
}

// Rooms are the rooms that the user has joined or is invited to, oldest first.
func (c *Client) Rooms() []*Room {
	c.mu.Lock()
	defer c.mu.Unlock()
	var rooms []*Room
	for _, roomID := range c.order {
		if room := c.rooms[roomID]; room.membership == event.MembershipJoin || room.membership == event.MembershipInvite {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// Room is a room that the user has seen, nil if unknown.
func (c *Client) Room(roomID id.RoomID) *Room {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms[roomID]
}

// DirectChat opens a direct chat with another account and waits until that one has joined.
func (c *Client) DirectChat(ctx context.Context, with id.UserID) (*Room, error) {
	created, err := c.Matrix.CreateRoom(ctx, &mautrix.ReqCreateRoom{
		Preset: "trusted_private_chat", Invite: []id.UserID{with}, IsDirect: true,
	})
	if err != nil {
		return nil, fmt.Errorf("failed to open a chat with %s: %w", with, err)
	}
	err = c.Wait(ctx, fmt.Sprintf("%s to join", with), func() bool {
		room := c.Room(created.RoomID)
		return room != nil && room.Member(with) == event.MembershipJoin
	})
	return c.Room(created.RoomID), err
}

// Seen is a transcript of everything that the user's client was told, one line an event.
func (c *Client) Seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}
