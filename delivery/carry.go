package delivery

import (
	"context"
	"sync"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"
)

// identity names a network's event for good; all that Matrix sees of it is derived from this.
type identity struct{ chat, sender, remoteID, kind string }

// carriage is one try of one event, carried by contexts from the lane down to the call of the homeserver.
type carriage struct {
	identity
	// find looks an effect up among those that Matrix is known to have.
	find func(marker string) (id.EventID, bool)
	// remember notes an effect that Matrix has.
	remember func(marker string, event id.EventID)

	lock sync.Mutex
	// asked counts the effects that the homeserver was asked for and that it may have, or not.
	asked int
	// failed is the last failure of an effect: bridgev2 does not hand all of them up.
	failed error
	// end is the failure with which the try has ended. bridgev2 goes on after some, as if what failed had been done.
	end error
}

type carriageKey struct{}

// Carry returns a function that puts the delivery of ctx into another context. The bridge sets it as
// MutateContextFunc of the remote event that it queues for [Bridge.HandleRemote]: bridgev2
// handles events in contexts of its own, and the calls of the homeserver must know what they are for.
func Carry(ctx context.Context) func(context.Context) context.Context {
	carried := carriageOf(ctx)
	return func(other context.Context) context.Context {
		if carried == nil {
			return other
		}
		other = context.WithValue(other, carriageKey{}, carried)
		// the lane decides about tries, since only it knows whether the last one may have worked
		return context.WithValue(other, mautrix.MaxAttemptsContextKey, 1)
	}
}

func withCarriage(ctx context.Context, c *carriage) context.Context {
	return context.WithValue(ctx, carriageKey{}, c)
}

func carriageOf(ctx context.Context) *carriage {
	c, _ := ctx.Value(carriageKey{}).(*carriage)
	return c
}

// effect names one effect of the event: the same at each try. What it consists of is said by substance, see
// [substanceOf]: its place among the effects of a try would not do, as a later try has those to do that are left.
func (c *carriage) effect(room id.RoomID, sender id.UserID, substance ...string) []string {
	return append([]string{string(room), string(sender), c.chat, c.sender, c.remoteID, c.kind}, substance...)
}

// ask notes that the homeserver is being asked for an effect.
func (c *carriage) ask() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.asked++
}

// answered notes that it is known whether the homeserver has the last effect.
func (c *carriage) answered() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.asked--
}

// inDoubt says whether the homeserver may have an effect that nobody remembers.
func (c *carriage) inDoubt() bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.asked > 0
}

// fail notes why an effect has failed. ends says that the try ends with it: nothing more of the event is done until it is
// tried again.
func (c *carriage) fail(err error, ends bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.failed = err
	if ends {
		c.end = err
	}
}

// stopped is why the try has ended, nil if it has not.
func (c *carriage) stopped() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.end
}

// failure is why the last effect that failed did, nil if none has.
func (c *carriage) failure() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.failed
}
