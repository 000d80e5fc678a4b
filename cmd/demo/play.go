package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

const sceneLimit = time.Minute

// playbook is one run of the scripted conversation.
type playbook struct {
	*house
	transcript
}

// play acts out the conversation. The first thing that does not come is the error.
func (h *house) play(ctx context.Context) error {
	p := &playbook{house: h, transcript: begin()}
	for _, scene := range []struct {
		name string
		act  func(context.Context) error
	}{
		{"login", p.login},
		{"chat", p.chat},
		{"refusal", p.refusal},
	} {
		sceneCtx, cancel := context.WithTimeout(ctx, sceneLimit)
		err := scene.act(sceneCtx)
		cancel()
		if err != nil {
			p.evidence()
			return fmt.Errorf("missing in the scene %q: %w", scene.name, err)
		}
	}
	fmt.Printf("%s\nAll of it happened: login, texts and receipts each way, and a clear refusal.\n", rule())
	return nil
}

const (
	botChat = "Element, chat with the bot"
	element = "Element, the room"
	phone   = "Anna's phone"
)

func (p *playbook) login(ctx context.Context) error {
	if err := stage.Enlist(ctx, p.bot); err != nil {
		return err
	}
	for _, line := range p.bot.Lines() {
		who := "bot:  "
		if line.Sender == p.alice.UserID() {
			who = "alice:"
		}
		p.tell(botChat, "%s %s", who, abridged(line.Body))
	}
	p.tell("simulated Meta", "enlisted: %s", p.enlisted())
	return nil
}

// enlisted is what the network has on record, one line an account.
func (p *playbook) enlisted() string {
	var lines []string
	for _, e := range p.net.Enlistments() {
		lines = append(lines, fmt.Sprintf("%s as %s (%s, %s)", e.Identifier, e.JID, e.Product, e.Status))
	}
	return strings.Join(lines, "\n")
}

func (p *playbook) chat(ctx context.Context) error {
	anna := p.people.byName["Anna"]
	room, err := p.startChat(ctx, anna)
	if err != nil {
		return err
	}
	question := "Hello Anna, this comes from Matrix."
	message, err := room.Send(ctx, question)
	if err != nil {
		return err
	}
	p.tell(element, "alice: %s", question)
	heard, err := anna.Hears(ctx)
	if err != nil {
		return fmt.Errorf("no message on Anna's phone: %w", err)
	}
	if heard.Text != question {
		return fmt.Errorf("another message on Anna's phone: %q", heard.Text)
	}
	p.tell(phone, "%s (%s): %s", heard.From, heard.DisplayName, heard.Text)
	if err := p.marks(ctx, room, message); err != nil {
		return err
	}
	return p.answer(ctx, anna, room)
}

func (p *playbook) startChat(ctx context.Context, anna *meta.Person) (*client.Room, error) {
	command := "start-chat " + anna.Phone()
	p.tell(botChat, "alice: %s", command)
	if err := p.bot.Tell(ctx, command); err != nil {
		return nil, err
	}
	answer, err := p.bot.WaitForAnswer(ctx, "chat is ready")
	if err != nil {
		return nil, err
	}
	p.tell(botChat, "bot:   %s", answer)
	var room *client.Room
	err = p.alice.Wait(ctx, "the room with Anna", func() bool {
		for _, candidate := range p.alice.Rooms() {
			if candidate.Joined() && len(candidate.StateKeys("m.bridge")) > 0 && candidate.Type() == "" {
				room = candidate
			}
		}
		return room != nil
	})
	if err != nil {
		return nil, err
	}
	notice, err := room.WaitForLine(ctx, "the notice", func(l client.Line) bool { return l.Notice })
	if err != nil {
		return nil, err
	}
	p.tell(element, "room:  %s", room.Name())
	p.tell(element, "notice: %s", notice.Body)
	return room, nil
}

// marks waits for the delivery mark and the read receipt on alice's message.
func (p *playbook) marks(ctx context.Context, room *client.Room, message id.EventID) error {
	err := p.alice.Wait(ctx, "the delivery mark", func() bool { return room.HasRead(id.UserID(p.stage.BotID), message) })
	if err != nil {
		return err
	}
	p.tell(element, "mark:  delivered")
	err = p.alice.Wait(ctx, "the read receipt", func() bool {
		for _, member := range room.StateKeys("m.room.member") {
			if member != p.stage.BotID && member != string(p.alice.UserID()) && room.HasRead(id.UserID(member), message) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	p.tell(element, "mark:  read by Anna")
	return nil
}

// answer waits for Anna's answer, reads it, and waits until her phone knows.
func (p *playbook) answer(ctx context.Context, anna *meta.Person, room *client.Room) error {
	answer, err := room.WaitForLine(ctx, "Anna's answer", func(l client.Line) bool {
		return !l.Notice && l.Sender != p.alice.UserID()
	})
	if err != nil {
		return err
	}
	p.tell(element, "%s: %s", room.MemberName(answer.Sender), answer.Body)
	said := <-p.people.said // it has arrived, so it was said
	if err := anna.WaitReceipt(ctx, said, "delivery"); err != nil {
		return fmt.Errorf("no delivery mark on Anna's phone: %w", err)
	}
	p.tell(phone, "mark:  delivered")
	if err := room.Read(ctx, answer.ID); err != nil {
		return err
	}
	p.tell(element, "alice has read it")
	if err := anna.WaitReceipt(ctx, said, "read"); err != nil {
		return fmt.Errorf("no read mark on Anna's phone: %w", err)
	}
	p.tell(phone, "mark:  read (passed on by the stand-in)")
	return nil
}

func (p *playbook) refusal(ctx context.Context) error {
	command := "start-chat " + p.people.byName["Dora"].Phone()
	p.tell(botChat, "alice: %s", command)
	if err := p.bot.Tell(ctx, command); err != nil {
		return err
	}
	answer, err := p.bot.WaitForAnswer(ctx, "third-party chats")
	if err != nil {
		return err
	}
	p.tell(botChat, "bot:   %s", answer)
	if heard := p.people.byName["Dora"].Heard(); len(heard) > 0 {
		return fmt.Errorf("somebody who has not opted in got %d messages", len(heard))
	}
	p.tell("Dora's phone", "(nothing)")
	return nil
}
