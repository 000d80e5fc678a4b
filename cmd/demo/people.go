package main

import (
	"context"
	"sync"
	"time"

	"causeway/simulator/meta"
)

// people live in the simulated networks and answer until they leave.
type people struct {
	byName map[string]*meta.Person
	// said has the ids of answers on their way, as far as somebody takes them.
	said chan string
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup
}

func settle(network *meta.Network) (*people, error) {
	all := &people{byName: map[string]*meta.Person{}, said: make(chan string, 100)}
	all.ctx, all.stop = context.WithCancel(context.Background())
	for _, c := range characters() {
		person := c.join(network)
		person.ShareName()
		all.byName[c.name] = person
		if c.optedIn {
			if err := person.OptIn(integrator); err != nil {
				return all, err
			}
		}
		if c.says != nil {
			all.listen(person, c)
		}
	}
	return all, nil
}

// listen answers one message after the other, so that slow typists keep the order.
func (all *people) listen(person *meta.Person, c character) {
	heard := make(chan meta.Heard, 100)
	person.OnMessage(func(_ *meta.Person, h meta.Heard) {
		select {
		case heard <- h:
		default: // somebody who is talked to so fast does not answer everything
		}
	})
	all.work.Go(func() {
		for turn := 0; ; turn++ {
			select {
			case <-all.ctx.Done():
				return
			case h := <-heard:
				all.answer(person, h, c.pace, c.says(h, turn))
			}
		}
	})
}

// answer reads, types for a while and says it. What fails is left: a person would not notice either.
func (all *people) answer(person *meta.Person, h meta.Heard, pace time.Duration, a answer) {
	_ = person.Read(h.ID)
	if a.react != "" {
		_, _ = person.React(h, a.react)
	}
	_ = person.Typing(h.From, true)
	all.pause(pace)
	_ = person.Typing(h.From, false)
	if a.file != nil {
		_, _ = person.SendMedia(h.From, *a.file)
	}
	if a.text == "" || all.ctx.Err() != nil {
		return
	}
	messageID, err := person.Say(h.From, a.text)
	if err != nil {
		return
	}
	select {
	case all.said <- messageID:
	default: // nobody has taken the earlier ones
	}
	all.pause(pace)
	switch {
	case a.better != "":
		_, _ = person.Edit(h.From, messageID, a.better)
	case a.unsend:
		_, _ = person.Unsend(h.From, messageID)
	}
}

// pause takes its time, unless everybody leaves.
func (all *people) pause(pace time.Duration) {
	select {
	case <-all.ctx.Done():
	case <-time.After(pace):
	}
}

func (all *people) leave() {
	all.stop()
	all.work.Wait()
}
