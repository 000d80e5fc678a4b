package meta

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// This file is what a test or script learns from a person's phone.

// Hears waits for the next message that the phone shows and returns it.
func (p *Person) Hears(ctx context.Context) (h Heard, err error) {
	err = p.wait(ctx, func() bool {
		if p.told == len(p.heard) {
			return false
		}
		h = p.heard[p.told]
		p.told++
		return true
	})
	if err != nil {
		return Heard{}, fmt.Errorf("%s heard nothing: %w", p.Name(), err)
	}
	return h, nil
}

// Heard lists every message so far, in order of arrival, those that Hears gave out included.
func (p *Person) Heard() []Heard {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heard)
}

// OnMessage runs f for each message from now on, in order and one at a time.
func (p *Person) OnMessage(f func(p *Person, h Heard)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scripts = append(p.scripts, f)
}

// Receipts lists what the other side told of the person's messages.
func (p *Person) Receipts() []Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.receipts)
}

// WaitReceipt waits for a receipt of a message: delivery or read.
func (p *Person) WaitReceipt(ctx context.Context, id, kind string) error {
	err := p.wait(ctx, func() bool {
		return slices.ContainsFunc(p.receipts, func(r Receipt) bool { return r.ID == id && r.Type == kind })
	})
	if err != nil {
		return fmt.Errorf("no %s receipt for %s: %w", kind, id, err)
	}
	return nil
}

// WaitTyping waits until a provider's user is seen typing, or not typing any more.
func (p *Person) WaitTyping(ctx context.Context, from string, on bool) error {
	if p.inChat(from) {
		return p.waitChatTyping(ctx, from, on)
	}
	jid, err := p.resolve(from)
	if err != nil {
		return err
	}
	if err := p.wait(ctx, func() bool { state, seen := p.typing[jidText(jid)]; return seen && state == on }); err != nil {
		return fmt.Errorf("typing of %s did not become %t: %w", from, on, err)
	}
	return nil
}

// Pings lists who looked for the person without their having opted in.
func (p *Person) Pings() []Ping {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.pings)
}

// wait waits until a condition holds, which is judged with the lock held.
func (p *Person) wait(ctx context.Context, condition func() bool) error {
	for {
		p.mu.Lock()
		holds, changed := condition(), p.changed
		p.mu.Unlock()
		if holds {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.n.ctx.Done():
			return errors.New("the network was closed")
		}
	}
}

// change wakes those who wait. p.mu is held.
func (p *Person) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}
