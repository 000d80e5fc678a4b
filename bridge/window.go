package bridge

import (
	"context"
	"errors"
	"time"

	"causeway/admin"
	"causeway/network"
)

// windowPatience is how long the operator's listener may take to end.
const windowPatience = 2 * time.Second

var _ admin.View = (*Connector)(nil)

// openWindow opens the operator's listener, if the configuration names one.
func (c *Connector) openWindow() (err error) {
	if c.config.Listen.Metrics.Address == "" {
		return nil
	}
	c.window, err = admin.Open(c.config.Listen.Metrics.Address, c, c.bridge.Log.With().Str("component", "admin").Logger())
	return err
}

func (c *Connector) closeWindow() {
	if c.window == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), windowPatience)
	defer cancel()
	c.window.Close(ctx)
}

// Figures implements [admin.View].
func (c *Connector) Figures(ctx context.Context) (f admin.Figures, err error) {
	waiting, err := c.delivery.Waiting(ctx)
	kept, keptErr := c.delivery.Kept(ctx)
	if err = errors.Join(err, keptErr); err != nil {
		return f, err
	}
	f.Kept, f.Logins, f.DiskLow = map[string]int{}, map[admin.Login]int{}, c.delivery.DiskLow()
	for _, w := range waiting {
		f.Waiting = append(f.Waiting, admin.Waiting{Way: string(w.Way), State: w.State, Rows: w.Rows, Oldest: time.UnixMilli(w.Oldest)})
	}
	for way, rows := range kept {
		f.Kept[string(way)] = rows
	}
	for _, login := range c.bridge.GetAllCachedUserLogins() {
		if client, ok := clientOf(login.Client); ok {
			f.Logins[admin.Login{Network: string(client.self.Network), State: client.stateName()}]++
		}
	}
	done := c.delivery.Figures()
	f.Ended = map[admin.Result]int64{
		{Way: "in", Result: "shown"}: done.Shown, {Way: "in", Result: "placeholder"}: done.Placeholders, {Way: "in", Result: "quarantined"}: done.Quarantined,
		{Way: "out", Result: "sent"}: done.Sent, {Way: "out", Result: "failed"}: done.Failed,
	}
	f.Counters = map[string]int64{
		"repeats": done.Repeats, "room_scans": done.Scans, "reconciled": done.Reconciled, "random_transactions": done.RandomTransactions, "commits": done.Commits,
	}
	return f, nil
}

// stateName is the state of a connection for machines to read.
func (c *Client) stateName() string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.state.State == "" {
		return string(network.Interrupted) // not begun, or ended
	}
	return string(c.state.State)
}
