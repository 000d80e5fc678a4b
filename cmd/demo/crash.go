package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

const (
	fridasPhone = "Frida's phone"
	// breath is how long the two pause between their lines, arrival how long the last may take.
	breath  = 400 * time.Millisecond
	arrival = time.Minute
	// longestLife and longestDeath are how long the bridge lives between two kills, and how long it stays dead, at most.
	longestLife, longestDeath = 2 * time.Second, time.Second
)

// storm is a conversation during which the bridge is killed again and again.
type storm struct {
	playbook
	room  *client.Room
	frida *meta.Person
	// jid is how the network calls alice.
	jid string

	mu    sync.Mutex
	kills int
	// said has a word in it when somebody has just spoken.
	said chan struct{}
}

func aliceLines() []string {
	return []string{
		"Frida, do you read me? Somebody keeps pulling the plug of my bridge.", "I write on all the same.", "One.", "Two.", "Three.",
		"Are they still in order?", "It has died again, I think.", "My server remembers what I wrote,", "and the bridge asks it after each start.",
		"Nothing may come twice either.", "That was all from me.", "Good night, Frida.",
	}
}

func fridaLines() []string {
	return []string{
		"Loud and clear so far.", "I notice nothing of it on my phone.", "Eins.", "Zwei.", "Drei.", "Count them!",
		"If one is missing, I will complain.", "What I say waits on WhatsApp's server until you have it.", "So you get it late, and not never.",
		"And once.", "Same here.", "Good night, alice.",
	}
}

// crash lets two people talk while the bridge is killed, and fails unless every line has arrived once and in order.
func (h *house) crash(ctx context.Context) error {
	s := &storm{playbook: playbook{house: h, transcript: begin()}, said: make(chan struct{})}
	if err := s.prepare(ctx); err != nil {
		s.evidence()
		return err
	}
	s.watch(ctx)
	calm, stop := context.WithCancel(ctx)
	killed := make(chan error, 1)
	go func() { killed <- s.kill(calm) }()
	err := s.converse(ctx)
	stop()
	err = errors.Join(err, <-killed)
	if err == nil {
		err = s.compare(ctx)
	}
	if err != nil {
		s.evidence()
		return err
	}
	fmt.Printf("%s\nThe bridge was killed %d times. Each of the %d lines has arrived, once and in order.\n",
		rule(), s.kills, len(aliceLines())+len(fridaLines()))
	return nil
}

func (s *storm) prepare(ctx context.Context) (err error) {
	if err = stage.Enlist(ctx, s.bot); err != nil {
		return err
	}
	s.jid = s.net.Enlistments()[0].JID
	s.frida = s.net.WhatsApp("+4915110000006", "Frida")
	s.frida.ShareName()
	if err = s.frida.OptIn(integrator); err != nil {
		return err
	}
	s.room, err = s.startChat(ctx, s.frida)
	return err
}

// say prints an entry; several speak at once.
func (s *storm) say(where, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(where, format, args...)
}

// watch prints what appears on either side.
func (s *storm) watch(ctx context.Context) {
	s.frida.OnMessage(func(_ *meta.Person, h meta.Heard) { s.say(fridasPhone, "  <- %s", h.Text) })
	go func() {
		for shown := 0; ; shown++ {
			line := ""
			err := s.alice.Wait(ctx, "Frida", func() bool {
				lines := s.fromFrida()
				if len(lines) > shown {
					line = lines[shown]
				}
				return len(lines) > shown
			})
			if err != nil {
				return
			}
			s.say(element, "  <- %s", line)
		}
	}()
}

// fromFrida are the lines in the room that are neither alice's nor a program's.
func (s *storm) fromFrida() (lines []string) {
	for _, line := range s.room.Lines() {
		if !line.Notice && line.Sender != s.alice.UserID() {
			lines = append(lines, line.Body)
		}
	}
	return lines
}

func (s *storm) onPhone() (lines []string) {
	for _, heard := range s.frida.Heard() {
		lines = append(lines, heard.Text)
	}
	return lines
}

// kill ends the bridge by SIGKILL and starts it again, until ctx ends; then it runs. Half of the kills come at
// random moments, the other half when somebody has just spoken and the line is on its way.
func (s *storm) kill(ctx context.Context) error {
	for {
		moment := time.After(rand.N(longestLife))
		said := s.said
		if s.kills%2 == 0 {
			said = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-moment:
		case <-said:
		}
		if err := s.stage.Bridge.Kill(); err != nil {
			return err
		}
		s.kills++
		s.say("the bridge", "KILLED (no. %d)", s.kills)
		_ = wait(ctx, rand.N(longestDeath)) // cut short if the conversation is over
		if err := s.stage.Bridge.Start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		s.say("the bridge", "runs again")
	}
}

// spoken tells the killer, if it listens.
func (s *storm) spoken() {
	select {
	case s.said <- struct{}{}:
	default:
	}
}

// converse has both say their lines.
func (s *storm) converse(ctx context.Context) error {
	answers := fridaLines()
	for i, line := range aliceLines() {
		if _, err := s.room.Send(ctx, line); err != nil {
			return err
		}
		s.spoken()
		s.say(element, "alice: %s", line)
		if err := wait(ctx, breath); err != nil {
			return err
		}
		if _, err := s.frida.Say(s.jid, answers[i]); err != nil {
			return err
		}
		s.spoken()
		s.say(fridasPhone, "Frida: %s", answers[i])
		if err := wait(ctx, breath); err != nil {
			return err
		}
	}
	return nil
}

// compare waits for the last line on either side and compares all of them.
func (s *storm) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, arrival)
	defer cancel()
	for len(s.fromFrida()) < len(fridaLines()) || len(s.onPhone()) < len(aliceLines()) {
		if err := wait(ctx, breath); err != nil {
			break // the comparison says what is missing
		}
	}
	for _, side := range []struct {
		where      string
		got, wants []string
	}{{element, s.fromFrida(), fridaLines()}, {fridasPhone, s.onPhone(), aliceLines()}} {
		if !slices.Equal(side.got, side.wants) {
			return fmt.Errorf("not as it was said: %s has %q", side.where, side.got)
		}
	}
	return nil
}

func wait(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}
