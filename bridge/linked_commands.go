package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// maxListed is how many lines `list` writes.
const maxListed = 100

// listed is a line of `list`.
type listed struct {
	conversation network.Address
	name         string
}

// linkedCommands are the commands of users' own accounts.
func (c *Connector) linkedCommands() []commands.CommandHandler {
	help := func(args, description string) commands.HelpMeta {
		return commands.HelpMeta{Section: commands.HelpSectionChats, Args: args, Description: description}
	}
	return []commands.CommandHandler{
		&commands.FullHandler{Func: c.inviteLink, Name: "invite-link", RequiresLogin: true, RequiresPortal: true,
			Help: help("[reset]", "Show the link by which people join the group of this room, or replace it.")},
		&commands.FullHandler{Func: c.approval, Name: "approval", RequiresLogin: true, RequiresPortal: true,
			Help: help("<on|off>", "Have those who join the group of this room by its link wait for an administrator, or not.")},
		&commands.FullHandler{Func: c.requests, Name: "requests", RequiresLogin: true, RequiresPortal: true,
			Help: help("", "List who waits to come into the group of this room.")},
		&commands.FullHandler{Func: func(ce *commands.Event) { c.answerRequests(ce, true) }, Name: "approve", RequiresLogin: true, RequiresPortal: true,
			Help: help("<_number_|all>", "Let somebody who waits into the group, by their number in `requests`.")},
		&commands.FullHandler{Func: func(ce *commands.Event) { c.answerRequests(ce, false) }, Name: "refuse", RequiresLogin: true, RequiresPortal: true,
			Help: help("<_number_|all>", "Turn somebody away who waits to come into the group.")},
		&commands.FullHandler{Func: c.join, Name: "join", RequiresLogin: true,
			Help: help("<_link_>", "Join a group by its invitation link.")},
		&commands.FullHandler{Func: c.resolveLink, Name: "resolve-link", RequiresLogin: true,
			Help: help("<_link_>", "Look at the group behind an invitation link without joining.")},
		&commands.FullHandler{Func: c.timer, Name: "timer", Aliases: []string{"disappearing-timer"}, RequiresLogin: true, RequiresPortal: true,
			Help: help("<off|24h|7d|90d>", "Set after how long new messages of this chat disappear.")},
		&commands.FullHandler{Func: c.leave, Name: "leave", RequiresLogin: true, RequiresPortal: true,
			Help: help("", "Leave the group of this room; the room stays readable.")},
		&commands.FullHandler{Func: c.list, Name: "list", RequiresLogin: true,
			Help: help("[chats|groups|contacts]", "List your chats, groups or contacts, with numbers for `open`.")},
		&commands.FullHandler{Func: c.open, Name: "open", RequiresLogin: true,
			Help: help("<_number_>", "Make or show the room of a line of `list`.")},
		&commands.FullHandler{Func: c.sync, Name: "sync", RequiresLogin: true,
			Help: help("", "Ask WhatsApp for how your chats stand: muted, pinned, archived, unread.")},
	}
}

// linkedOf is the linked login that a command is about: that of the room, or the user's first. It has answered if there is none.
func linkedOf(ce *commands.Event) (*Client, bool) {
	if ce.Portal != nil {
		if who, ok := contactOfRoom(ce); ok && who.client.linked() {
			return who.client, true
		}
		ce.Reply(textNotLinked)
		return nil, false
	}
	for _, login := range ce.User.GetUserLogins() {
		if client, ok := clientOf(login.Client); ok && client.linked() && login.Client.IsLoggedIn() {
			return client, true
		}
	}
	ce.Reply(textNotLinked)
	return nil, false
}

// ofGroup does something to the group of the room and answers if it fails.
func ofGroup(ce *commands.Event, do func(ctx context.Context, client *Client, group groupOf) error) {
	client, ok := linkedOf(ce)
	if !ok {
		return
	}
	group, err := client.groupOf(ce.Portal)
	if err == nil {
		ctx, cancel := context.WithTimeout(ce.Ctx, askTimeout)
		defer cancel()
		err = do(ctx, client, group)
	}
	if err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
	}
}

// linkTo is a link to a room.
func (c *Client) linkTo(room *bridgev2.Portal) string {
	return room.MXID.URI(c.connector.bridge.Matrix.ServerName()).MatrixToURL()
}

// roomOf is the room of a conversation, made if there is none.
func (c *Client) roomOf(ctx context.Context, conversation network.Address) (*bridgev2.Portal, error) {
	c.making.Lock()
	defer c.making.Unlock()
	room, err := c.connector.bridge.GetPortalByKey(ctx, portal.Key(conversation, c.self))
	if err != nil {
		return nil, fmt.Errorf("failed to get a portal: %w", err)
	}
	if room.MXID == "" {
		if err = room.CreateMatrixRoom(ctx, c.login, nil); err != nil {
			return nil, fmt.Errorf("failed to make a room: %w", err)
		}
	}
	return room, nil
}

func (c *Connector) timer(ce *commands.Event) {
	timers := map[string]time.Duration{"off": 0, "0": 0}
	for _, timer := range portal.Timers() {
		timers[fmt.Sprintf("%dh", timer/time.Hour)], timers[fmt.Sprintf("%dd", timer/(24*time.Hour))] = timer, timer
	}
	var timer time.Duration
	known := false
	if len(ce.Args) == 1 {
		timer, known = timers[strings.ToLower(ce.Args[0])]
	}
	if !known {
		ce.Reply(textBadTimer)
		return
	}
	client, ok := linkedOf(ce)
	if !ok {
		return
	}
	if err := client.setTimer(ce.Ctx, ce.Portal, timer); err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
		return
	}
	ce.Portal.UpdateDisappearingSetting(ce.Ctx, portal.Timer(timer), bridgev2.UpdateDisappearingSettingOpts{Save: true})
	if timer == 0 {
		ce.Reply(textTimerOff)
		return
	}
	ce.Reply(textTimerSet, textTimer(timer))
}

// leave takes the user out of a group, if they say so twice.
func (c *Connector) leave(ce *commands.Event) {
	if len(ce.Args) != 1 || !strings.EqualFold(ce.Args[0], "now") {
		ce.Reply(textLeaveAsk, ce.Portal.Name)
		return
	}
	ofGroup(ce, func(ctx context.Context, client *Client, group groupOf) error {
		return client.leaveGroup(ctx, ce.Portal, group)
	})
}

func (c *Connector) list(ce *commands.Event) {
	client, ok := linkedOf(ce)
	if !ok {
		return
	}
	what := "chats"
	if len(ce.Args) > 0 {
		what = strings.ToLower(ce.Args[0])
	}
	lines, err := client.lines(ce.Ctx, what)
	switch {
	case errors.Is(err, errBadList):
		ce.Reply(textListUsage)
		return
	case err != nil:
		ce.Reply("%s", replyOf(err, client.self.Network))
		return
	case len(lines) == 0:
		ce.Reply(textListEmpty)
		return
	}
	client.mutex.Lock()
	client.listed = lines
	client.mutex.Unlock()
	var out strings.Builder
	for i, line := range lines[:min(len(lines), maxListed)] {
		fmt.Fprintf(&out, "%d. %s\n", i+1, line.name)
	}
	if more := len(lines) - maxListed; more > 0 {
		fmt.Fprintf(&out, "\n"+textListMore, more)
	}
	ce.Reply("%s", out.String())
}

// errBadList says that there is no such list.
var errBadList = errors.New("no such list")

// lines are what `list` tells.
func (c *Client) lines(ctx context.Context, what string) (lines []listed, err error) {
	switch what {
	case "chats":
		rooms, err := c.conversationsOf(ctx)
		if err != nil {
			return nil, err
		}
		for _, room := range rooms {
			if conversation, err := portal.Conversation(room.PortalKey); err == nil {
				lines = append(lines, listed{conversation, room.Name})
			}
		}
	case "groups":
		groups, err := ability[network.Groups](c)
		if err != nil {
			return nil, err
		}
		all, err := groups.Groups(ctx)
		if err != nil {
			return nil, fmt.Errorf("failed to list groups: %w", err)
		}
		for _, group := range all {
			if group.Community {
				continue
			}
			lines = append(lines, listed{group.Address, portal.GroupName(group.Name)})
		}
	case "contacts":
		people, err := c.contacts(ctx, "")
		if err != nil {
			return nil, err
		}
		for _, person := range people {
			name := puppet.BestName(puppet.Profile{Address: person.Address, Phone: person.Alias, Name: firstText(person.Name, person.Business)})
			lines = append(lines, listed{person.Address, name})
		}
	default:
		return nil, errBadList
	}
	slices.SortStableFunc(lines, func(a, b listed) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	return lines, nil
}

func (c *Connector) open(ce *commands.Event) {
	client, ok := linkedOf(ce)
	if !ok {
		return
	}
	client.mutex.Lock()
	lines := client.listed
	client.mutex.Unlock()
	number := 0
	if len(ce.Args) == 1 {
		number, _ = strconv.Atoi(ce.Args[0])
	}
	switch {
	case len(lines) == 0:
		ce.Reply(textOpenFirst)
		return
	case number < 1 || number > len(lines):
		ce.Reply(textOpenUsage)
		return
	}
	room, err := client.roomOf(ce.Ctx, lines[number-1].conversation)
	if err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
		return
	}
	ce.Reply(textChatReady, room.Name, client.linkTo(room))
}

func (c *Connector) sync(ce *commands.Event) {
	client, ok := linkedOf(ce)
	if !ok {
		return
	}
	chats, err := ability[network.ChatStates](client)
	if err == nil {
		err = chats.SyncChats(ce.Ctx)
	}
	if err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
		return
	}
	ce.Reply(textSyncAsked)
}
