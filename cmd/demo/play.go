package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

const sceneLimit = time.Minute

// playbook is one run of the scripted conversation.
type playbook struct {
	*house
	transcript
	// room is that of the scene before.
	room *client.Room
}

// play acts out the conversation. The first thing that does not come is the error.
func (h *house) play(ctx context.Context) error {
	p := &playbook{house: h, transcript: begin()}
	for _, scene := range []struct {
		name string
		act  func(context.Context) error
	}{
		{"login", p.login},
		{"a chat on WhatsApp", p.chat},
		{"a photo", p.photo},
		{"a chat on Messenger", p.onMessenger},
		{"edits and removals", p.changes},
		{"a refusal", p.refusal},
	} {
		sceneCtx, cancel := context.WithTimeout(ctx, sceneLimit)
		err := scene.act(sceneCtx)
		cancel()
		if err != nil {
			p.evidence()
			return fmt.Errorf("missing in the scene %q: %w", scene.name, err)
		}
	}
	fmt.Printf("%s\nAll of it happened: logins on WhatsApp and Messenger, texts and receipts each way, a photo,\nedits and removals on Messenger, and a clear refusal.\n", rule())
	return nil
}

const (
	botChat = "Element, chat with the bot"
	element = "Element, the room"
)

// phone is where a person reads.
func phone(of *meta.Person) string { return of.Name() + "'s phone" }

func (p *playbook) login(ctx context.Context) error {
	if err := p.enlist(ctx); err != nil {
		return err
	}
	told := map[string]bool{}
	for _, line := range p.bot.Lines() {
		text, who := abridged(line.Body), "bot:  "
		if line.Sender == p.alice.UserID() {
			who = "alice:"
		} else if told[text] {
			continue // the same question, for the other network
		}
		told[text] = true
		p.tell(botChat, "%s %s", who, text)
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
	p.room = room
	message, err := p.says(ctx, room, anna, "Hello Anna, this comes from Matrix.")
	if err != nil {
		return err
	}
	if err := p.marks(ctx, room, anna, message); err != nil {
		return err
	}
	return p.answer(ctx, anna, room)
}

// says has alice send a text, and waits until it is on somebody's phone.
func (p *playbook) says(ctx context.Context, room *client.Room, to *meta.Person, text string) (id.EventID, error) {
	message, err := room.Send(ctx, text)
	if err != nil {
		return "", err
	}
	p.tell(element, "alice: %s", text)
	heard, err := to.Hears(ctx)
	if err != nil {
		return "", fmt.Errorf("no message on %s: %w", phone(to), err)
	}
	if heard.Text != text {
		return "", fmt.Errorf("another message on %s: %q", phone(to), heard.Text)
	}
	p.tell(phone(to), "%s (%s): %s", heard.From, heard.DisplayName, heard.Text)
	return message, nil
}

func (p *playbook) startChat(ctx context.Context, with *meta.Person) (*client.Room, error) {
	command := "start-chat " + found(with)
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
	err = p.alice.Wait(ctx, "the room with "+with.Name(), func() bool {
		room = p.roomWith(with)
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

// found is what alice finds somebody by.
func found(person *meta.Person) string {
	if person.FBID() != "" {
		return person.FBID()
	}
	return person.Phone()
}

// roomWith is the room that is bridged to somebody, nil until alice is in it.
func (p *playbook) roomWith(person *meta.Person) *client.Room {
	digits, _, _ := strings.Cut(person.LID(), "@")
	for _, candidate := range p.alice.Rooms() {
		for _, key := range candidate.StateKeys("m.bridge") {
			var info event.BridgeEventContent
			if candidate.Joined() && candidate.State("m.bridge", key, &info) && strings.HasSuffix(info.Channel.ID, "-"+digits) {
				return candidate
			}
		}
	}
	return nil
}

// marks waits for the delivery mark and the read receipt on alice's message.
func (p *playbook) marks(ctx context.Context, room *client.Room, person *meta.Person, message id.EventID) error {
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
	p.tell(element, "mark:  read by %s", person.Name())
	return nil
}

// answer waits for somebody's answer, reads it, and waits until their phone knows.
func (p *playbook) answer(ctx context.Context, person *meta.Person, room *client.Room) error {
	answer, err := room.WaitForLine(ctx, "the answer", func(l client.Line) bool {
		return !l.Notice && l.Sender != p.alice.UserID()
	})
	if err != nil {
		return err
	}
	p.tell(element, "%s: %s", room.MemberName(answer.Sender), answer.Body)
	said := <-p.people.said // it has arrived, so it was said
	if err := person.WaitReceipt(ctx, said, "delivery"); err != nil {
		return fmt.Errorf("no delivery mark on %s: %w", phone(person), err)
	}
	p.tell(phone(person), "mark:  delivered")
	if err := room.Read(ctx, answer.ID); err != nil {
		return err
	}
	p.tell(element, "alice has read it")
	if err := person.WaitReceipt(ctx, said, "read"); err != nil {
		return fmt.Errorf("no read mark on %s: %w", phone(person), err)
	}
	p.tell(phone(person), "mark:  read (passed on by the stand-in)")
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
