package bridge

import (
	"context"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/database"
	"causeway/network"
)

// pingPatience is how long a user waits for a network's answer to `ping`.
const pingPatience = 10 * time.Second

// heard notes that the network is there.
func (c *Client) heard() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.traffic = time.Now()
}

// status says how the logins stand, or as a reply what became of a message.
func (c *Connector) status(ce *commands.Event) {
	if ce.ReplyTo != "" || len(ce.Args) > 0 {
		c.fateOfMessage(ce)
		return
	}
	logins := ce.User.GetUserLogins()
	if len(logins) == 0 {
		ce.Reply(textNoLogins)
		return
	}
	waiting, err := c.delivery.Waiting(ce.Ctx)
	if err != nil {
		ce.Reply("%s", replyOf(err, networkOf(logins[0])))
		return
	}
	lines := make([]string, 0, len(logins)+1)
	for _, login := range logins {
		if client, ok := clientOf(login.Client); ok {
			lines = append(lines, "* "+client.describe(login, waiting))
		}
	}
	if c.delivery.DiskLow() {
		lines = append(lines, fill(textDiskLow, networkOf(logins[0])))
	}
	ce.Reply("%s", strings.Join(lines, "\n"))
}

// describe is a login in words: its connection, its last traffic, and what waits each way.
func (c *Client) describe(login *bridgev2.UserLogin, waiting []database.Waiting) string {
	c.mutex.Lock()
	traffic := c.traffic
	c.mutex.Unlock()
	text := c.describeConnection(login)
	if !traffic.IsZero() {
		text += " " + textTraffic(traffic)
	}
	in, out, held := waits(login, waiting)
	return text + " " + textWaiting(c.self.Network, in, out, held)
}

func (c *Client) describeConnection(login *bridgev2.UserLogin) string {
	c.mutex.Lock()
	now := c.state
	c.mutex.Unlock()
	if now.State == network.Resting {
		return login.RemoteName + ": " + restingText(now.Err, c.self.Network)
	}
	state := c.standing()
	text := login.RemoteName + ": " + textState(state.StateEvent) + "."
	if state.StateEvent != status.StateConnected && state.Message != "" {
		text += " " + state.Message
	}
	return text
}

// restingText says why a login is not connected that could be.
func restingText(err error, n network.Network) string {
	if err == nil {
		return textResting
	}
	p, _ := findProblem(err)
	return p.sentence(n)
}

// wait is how much waits on a way, and since when.
type wait struct {
	rows   int
	oldest time.Time
}

func (w *wait) add(of database.Waiting) {
	w.rows += of.Rows
	if since := time.UnixMilli(of.Oldest); w.oldest.IsZero() || since.Before(w.oldest) {
		w.oldest = since
	}
}

// waits sums up what waits of a login: for Matrix, for the network, and for the message that it is about.
func waits(login *bridgev2.UserLogin, waiting []database.Waiting) (in, out, held wait) {
	for _, w := range waiting {
		switch {
		case w.Login != string(login.ID):
		case w.Way == database.WayOut:
			out.add(w)
		case w.State == string(database.InboxHeld):
			held.add(w)
		default:
			in.add(w)
		}
	}
	return in, out, held
}

// ping asks the networks whether they are there.
func (c *Connector) ping(ce *commands.Event) {
	logins := ce.User.GetUserLogins()
	if len(logins) == 0 {
		ce.Reply(textNoLogins)
		return
	}
	var lines []string
	for _, login := range logins {
		if client, ok := clientOf(login.Client); ok {
			lines = append(lines, "* "+client.describeConnection(login)+client.answerTime(ce.Ctx))
		}
	}
	ce.Reply("%s", strings.Join(lines, "\n"))
}

// answerTime is what users are told of a network's answer, empty where the connection says enough.
func (c *Client) answerTime(ctx context.Context) string {
	below, err := c.live()
	pinger, ok := below.(network.Pinger)
	if err != nil || !ok || c.standing().StateEvent != status.StateConnected {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	took, err := pinger.Ping(ctx)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("The network does not answer a ping")
		return " " + fill(textNoAnswer, c.self.Network)
	}
	c.heard()
	return " " + textAnswered(c.self.Network, took)
}
