package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"causeway/simulator/meta"
)

// character is somebody on the simulated WhatsApp.
type character struct {
	phone, name, about string
	// optedIn says whether they have turned on third-party chats.
	optedIn bool
	// pace is how long they type.
	pace time.Duration
	// says chooses an answer; turn counts the messages that they have heard, from 0.
	says func(heard string, turn int) string
}

func characters() []character {
	return []character{
		{"+4915110000001", "Anna", "chatty, wants to know where you write from", true, 1500 * time.Millisecond, annaSays},
		{"+4915110000002", "Bert", "a baker, thinks of bread", true, time.Second, bertSays},
		{"+4915110000003", "Carla", "takes her time and says little", true, 4 * time.Second, carlaSays},
		{"+4915110000004", "Dora", "has not turned on third-party chats", false, 0, nil},
		{"+4915110000005", "Emil", "repeats what you say, quickly; good for trying things", true, 100 * time.Millisecond, emilSays},
	}
}

func annaSays(heard string, turn int) string {
	answers := []string{
		"Oh hello! Your name comes up as a third-party chat here. Where are you writing from?",
		"Matrix? Never heard of it, but it works. It rings on my phone like anybody else.",
		"And you see my answers over there, at once? Funny.",
		"I have to catch my tram. Write again!",
	}
	if strings.Contains(heard, "?") && turn > 0 {
		return "Good question. I will think about it on the tram."
	}
	return answers[min(turn, len(answers)-1)]
}

func bertSays(heard string, turn int) string {
	switch {
	case strings.Contains(strings.ToLower(heard), "bread"):
		return "Rye today, with caraway. It is still warm."
	case turn == 0:
		return "Bert's bakery. What can I put aside for you?"
	default:
		return "Noted. Anything else? We close at six."
	}
}

func carlaSays(_ string, turn int) string {
	return []string{"Hm.", "Maybe.", "I see.", "Later."}[turn%4]
}

func emilSays(heard string, _ int) string { return heard }

// people live in the simulated network and answer until they leave.
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
		person := network.WhatsApp(c.phone, c.name)
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
				all.answer(person, h, c.pace, c.says(h.Text, turn))
			}
		}
	})
}

// answer reads, types for a while and says it. What fails is left: a person would not notice either.
func (all *people) answer(person *meta.Person, h meta.Heard, pace time.Duration, text string) {
	_ = person.Read(h.ID)
	_ = person.Typing(h.From, true)
	select {
	case <-all.ctx.Done():
		return
	case <-time.After(pace):
	}
	_ = person.Typing(h.From, false)
	if messageID, err := person.Say(h.From, text); err == nil {
		select {
		case all.said <- messageID:
		default: // nobody has taken the earlier ones
		}
	}
}

func (all *people) leave() {
	all.stop()
	all.work.Wait()
}
