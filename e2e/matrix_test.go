package e2e

import (
	"fmt"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
)

// matrixUser is somebody with a Matrix client.
type matrixUser struct {
	house  *house
	name   string
	client *client.Client
	bot    *client.Bot
	// jid is the account on the network, once enlisted.
	jid string
}

// room is a portal as one Matrix user sees it.
type room struct {
	*client.Room
	user *matrixUser
}

// MatrixUser makes an account at the house's homeserver.
func (h *house) MatrixUser(name string) *matrixUser {
	t := h.world.t
	t.Helper()
	c, err := h.stage.Join(h.world.ctx, name, password)
	require.NoError(t, err)
	user := &matrixUser{house: h, name: name, client: c}
	h.users = append(h.users, user)
	user.bot, err = c.OpenBot(h.world.soon(), id.UserID(h.stage.BotID))
	require.NoError(t, err)
	return user
}

// Identifier is what people of the network type to find the user.
func (u *matrixUser) Identifier() string { return u.name + "@localhost" }

// Command tells the bot something.
func (u *matrixUser) Command(text string) {
	w := u.house.world
	w.t.Helper()
	require.NoError(w.t, u.bot.Tell(w.ctx, text))
}

// WaitForNotice waits until the bot has said something with all of these parts since the last command, in any case of letters.
func (u *matrixUser) WaitForNotice(parts ...string) string {
	w := u.house.world
	w.t.Helper()
	answer, err := u.bot.WaitForAnswer(w.soon(), parts...)
	require.NoError(w.t, err)
	return answer
}

// Enlisted takes the user through the login flow, up to a standing connection.
func (u *matrixUser) Enlisted() *matrixUser {
	w := u.house.world
	w.t.Helper()
	require.NoError(w.t, stage.Enlist(w.soon(), u.bot))
	w.eventually(u.name+" to be connected", func() bool {
		for _, enlistment := range w.net.Enlistments() {
			if enlistment.Identifier == u.Identifier() && enlistment.Integrator == u.house.integrator {
				u.jid = enlistment.JID
			}
		}
		return u.jid != "" && u.connected()
	})
	return u
}

// connected says whether the network has a live connection of the user.
func (u *matrixUser) connected() bool {
	for _, connection := range u.house.world.net.Connections() {
		if connection.JID == u.jid && connection.Active {
			return true
		}
	}
	return false
}

// StartChat asks the bot for a chat and waits until it and its room are there.
func (u *matrixUser) StartChat(p *person) *room {
	u.house.world.t.Helper()
	u.Command("start-chat " + p.Phone())
	u.WaitForNotice("chat is ready")
	return u.WaitForRoom(p)
}

// WaitForRoom waits until the user is in the room of the conversation with p.
func (u *matrixUser) WaitForRoom(p *person) *room {
	w := u.house.world
	w.t.Helper()
	var found *client.Room
	err := u.client.Wait(w.soon(), "the room with "+p.name, func() bool {
		found = u.findRoom(p)
		return found != nil && found.Joined()
	})
	require.NoError(w.t, err)
	return &room{Room: found, user: u}
}

func (u *matrixUser) findRoom(p *person) *client.Room {
	for _, candidate := range u.client.Rooms() {
		if bridgedTo(candidate) == p.conversation() {
			return candidate
		}
	}
	return nil
}

// bridgedTo is the conversation that a room's m.bridge event names.
func bridgedTo(r *client.Room) string {
	for _, key := range r.StateKeys("m.bridge") {
		var info struct {
			Channel struct {
				ID string `json:"id"`
			} `json:"channel"`
		}
		if r.State("m.bridge", key, &info) {
			return info.Channel.ID
		}
	}
	return ""
}

// Says sends a message.
func (r *room) Says(text string) id.EventID {
	w := r.user.house.world
	w.t.Helper()
	w.keepPrivate(text)
	eventID, err := r.Send(w.ctx, text)
	require.NoError(w.t, err)
	return eventID
}

// WaitForMessage waits for a text from p.
func (r *room) WaitForMessage(p *person, text string) client.Line {
	w := r.user.house.world
	w.t.Helper()
	line, err := r.WaitForLine(w.soon(), fmt.Sprintf("%q from %s", text, p.name), func(line client.Line) bool {
		return p.is(line.Sender) && line.Body == text
	})
	require.NoError(w.t, err)
	return line
}

// WaitForNotice waits until a program says something with all of these parts in the room.
func (r *room) WaitForNotice(parts ...string) client.Line {
	w := r.user.house.world
	w.t.Helper()
	line, err := r.WaitForLine(w.soon(), fmt.Sprintf("a notice with %q", parts), func(line client.Line) bool {
		return line.Sender != r.user.client.UserID() && line.Notice && client.ContainsAll(line.Body, parts...)
	})
	require.NoError(w.t, err)
	return line
}

// Texts are the messages that p wrote in the room, in order.
func (r *room) Texts(p *person) []string {
	var texts []string
	for _, line := range r.Lines() {
		if p.is(line.Sender) && !line.Notice {
			texts = append(texts, line.Body)
		}
	}
	return texts
}

// waitFor waits for a condition on what the user's client sees.
func (r *room) waitFor(what string, holds func() bool) {
	w := r.user.house.world
	w.t.Helper()
	require.NoError(w.t, r.user.client.Wait(w.soon(), what, holds))
}
