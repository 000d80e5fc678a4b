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
	house *house
	// name is the localpart of the user's Matrix id.
	name   string
	side   side
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
	w := h.world
	w.t.Helper()
	return h.register(name + w.suffix)
}

// Admin is the administrator, whom all views of the world share.
func (w *world) Admin() *matrixUser {
	w.t.Helper()
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	if w.shared.admin == nil {
		w.shared.admin = w.register("admin")
	}
	view, bot := *w.shared.admin, *w.shared.admin.bot
	view.house, view.bot = w.house, &bot
	return &view
}

func (h *house) register(name string) *matrixUser {
	w := h.world
	w.t.Helper()
	c, err := h.stage.Join(w.ctx, name, password)
	require.NoError(w.t, err)
	if h.encrypted {
		require.NoError(w.t, c.Encrypt(w.ctx))
	}
	user := &matrixUser{house: h, name: name, side: w.side, client: c}
	h.users.mu.Lock()
	h.users.all = append(h.users.all, user)
	h.users.mu.Unlock()
	user.bot, err = c.OpenBot(w.soon(), id.UserID(h.stage.BotID))
	require.NoError(w.t, err)
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

// Enlisted takes the user through the login flow of the story's network, up to a standing connection.
func (u *matrixUser) Enlisted() *matrixUser { return u.On(u.side) }

// On is the user on a network, enlisted there. What the user is elsewhere stays as it is.
func (u *matrixUser) On(on side) *matrixUser {
	w := u.house.world
	w.t.Helper()
	there := *u
	there.side, there.jid = on, ""
	before := w.liveConnections()
	require.NoError(w.t, stage.EnlistWith(w.soon(), u.bot, on.flow, on.name()))
	w.eventually(u.name+" to be connected", func() bool {
		for _, enlistment := range w.net.Enlistments() {
			if enlistment.Identifier == u.Identifier() && enlistment.Integrator == u.house.integrator && enlistment.Product == string(on.network) {
				there.jid = enlistment.JID
			}
		}
		// account numbers may be equal, and then the connection must be one more
		return there.jid != "" && there.connected() && w.liveConnections()[there.jid] > before[there.jid]
	})
	return &there
}

// liveConnections counts the connections of each account.
func (w *world) liveConnections() map[string]int {
	live := map[string]int{}
	for _, connection := range w.net.Connections() {
		if connection.Active {
			live[connection.JID]++
		}
	}
	return live
}

// connected says whether the network has a live connection of the user.
func (u *matrixUser) connected() bool {
	return u.house.world.liveConnections()[u.jid] > 0
}

// StartChat asks the bot for a chat and waits until it and its room are there.
func (u *matrixUser) StartChat(p *person) *room {
	u.house.world.t.Helper()
	u.Command("start-chat " + p.identifier())
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
	w.keepSecret(text)
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
