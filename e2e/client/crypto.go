package client

import (
	"context"
	"errors"
	"fmt"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/crypto"
	"maunium.net/go/mautrix/crypto/cryptohelper"
	"maunium.net/go/mautrix/event"
)

// Encrypt gives the client's device keys: from now on it encrypts in encrypted rooms, and what it can decrypt stands in its rooms
// as if it had come in the open, beside the event as it came. It is for a client that is in no encrypted room yet.
func (c *Client) Encrypt(ctx context.Context) error {
	syncer := mautrix.NewDefaultSyncer()
	c.Matrix.Syncer, c.Matrix.StateStore = syncer, mautrix.NewMemoryStateStore()
	syncer.OnEvent(c.Matrix.StateStoreSyncHandler)
	helper, err := cryptohelper.NewCryptoHelper(c.Matrix, []byte("kept in memory"), crypto.NewMemoryStore(nil))
	if err != nil {
		return fmt.Errorf("failed to prepare encryption: %w", err)
	}
	helper.CustomPostDecrypt = func(_ context.Context, evt *event.Event) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.room(evt.RoomID).takeOne(evt)
		c.wake()
	}
	helper.DecryptErrorCallback = func(evt *event.Event, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.room(evt.RoomID).note("%s could not be decrypted: %v", evt.ID, err)
	}
	if err = helper.Init(ctx); err != nil {
		return fmt.Errorf("failed to set up encryption: %w", err)
	}
	c.Matrix.Crypto = helper
	if !c.syncer.CompareAndSwap(nil, syncer) {
		return errors.New("the client encrypts already")
	}
	return nil
}
