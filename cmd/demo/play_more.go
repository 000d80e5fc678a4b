package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"maunium.net/go/mautrix/event"

	"causeway/e2e/client"
)

// photo has Anna send a picture, which must be there byte for byte.
func (p *playbook) photo(ctx context.Context) error {
	anna := p.people.byName["Anna"]
	if _, err := p.says(ctx, p.room, anna, "Do you have a photo?"); err != nil {
		return err
	}
	line, err := p.room.WaitForLine(ctx, "the photo", func(l client.Line) bool { return l.Content.MsgType == event.MsgImage })
	if err != nil {
		return err
	}
	uri, err := line.Content.URL.Parse()
	if err != nil {
		return err
	}
	data, err := p.alice.Matrix.DownloadBytes(ctx, uri)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(data, sunset()):
		return errors.New("the photo is not the one that Anna sent")
	}
	info := line.Content.Info
	p.tell(element, "%s: [photo, %d x %d, %d bytes, as sent] %s", p.room.MemberName(line.Sender), info.Width, info.Height, len(data), line.Body)
	return nil
}

// onMessenger is a chat on the other network, in a room and a space of its own.
func (p *playbook) onMessenger(ctx context.Context) error {
	gus := p.people.byName["Gus"]
	room, err := p.startChat(ctx, gus)
	if err != nil {
		return err
	}
	p.room = room
	message, err := p.says(ctx, room, gus, "Hello Gus, the same account talks to WhatsApp too.")
	if err != nil {
		return err
	}
	if err := p.marks(ctx, room, gus, message); err != nil {
		return err
	}
	if err := p.answer(ctx, gus, room); err != nil {
		return err
	}
	for _, space := range p.alice.Rooms() {
		if space.Type() == "m.space" {
			p.tell("Element, spaces", "%s", space.Name())
		}
	}
	return nil
}

// changes are what Messenger carries and WhatsApp does not: edits and removals, both ways.
func (p *playbook) changes(ctx context.Context) error {
	gus := p.people.byName["Gus"]
	edit, err := p.room.WaitForLine(ctx, "the edit of Gus", func(l client.Line) bool {
		return l.Sender != p.alice.UserID() && l.Content.NewContent != nil
	})
	if err != nil {
		return err
	}
	p.tell(element, "%s (edited): %s", p.room.MemberName(edit.Sender), edit.Content.NewContent.Body)

	said, err := p.says(ctx, p.room, gus, "Yuo too!")
	if err != nil {
		return err
	}
	better := &event.MessageEventContent{MsgType: event.MsgText, Body: "You too!"}
	better.SetEdit(said)
	if _, err = p.alice.Matrix.SendMessageEvent(ctx, p.room.ID, event.EventMessage, better); err != nil {
		return err
	}
	p.tell(element, "alice (edited): %s", "You too!")
	heard, err := gus.Hears(ctx)
	if err != nil || heard.Edited == "" {
		return fmt.Errorf("no edit on %s, but %s: %w", phone(gus), heard.Kind, err)
	}
	p.tell(phone(gus), "edited: %s", heard.Text)
	if _, err = p.alice.Matrix.RedactEvent(ctx, p.room.ID, said); err != nil {
		return err
	}
	p.tell(element, "alice deletes it (passed on by the stand-in)")
	if heard, err = gus.Hears(ctx); err != nil || heard.Removed == "" {
		return fmt.Errorf("no removal on %s, but %s: %w", phone(gus), heard.Kind, err)
	}
	p.tell(phone(gus), "the message is gone")
	return nil
}
