package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"

	"causeway/network"
)

// errNobodyWaits and errBadNumber say that an answer to people who want to come in answers nobody.
var (
	errNobodyWaits = errors.New("nobody waits")
	errBadNumber   = errors.New("no such number")
)

// tellRequests says who wants to come into a group, and how it lets people in from now on.
func (c *Client) tellRequests(ctx context.Context, room *bridgev2.Portal, change network.GroupChange) {
	for _, person := range change.Requested {
		c.say(ctx, room, textWantsIn(c.connector.nameOf(ctx, person), c.connector.bridge.Config.CommandPrefix))
	}
	for _, person := range change.Withdrawn {
		c.say(ctx, room, fmt.Sprintf(textWantsInNoMore, c.connector.nameOf(ctx, person)))
	}
	switch {
	case change.Approval == nil:
	case *change.Approval:
		c.say(ctx, room, textApprovalOn)
	default:
		c.say(ctx, room, textApprovalOff)
	}
}

// requests lists who wants to come into the group of the room.
func (c *Connector) requests(ce *commands.Event) {
	ofGroup(ce, func(ctx context.Context, client *Client, group groupOf) error {
		waiting, err := client.waitingFor(ctx, group)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			ce.Reply(textNobodyWaits)
			return nil
		}
		var out strings.Builder
		for i, person := range waiting {
			fmt.Fprintf(&out, "%d. %s\n", i+1, c.nameOf(ctx, person))
		}
		ce.Reply("%s\n"+textAnswerThem, out.String())
		return nil
	})
}

// waitingFor asks who wants to come into a group, and remembers the answer for numbers of it.
func (c *Client) waitingFor(ctx context.Context, group groupOf) ([]network.Address, error) {
	waiting, err := group.JoinRequests(ctx, group.address)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.waiting == nil {
		c.waiting = map[network.Address][]network.Address{}
	}
	c.waiting[group.address] = waiting
	return waiting, nil
}

// answerRequests lets those in who are named by number, or by `all`, or turns them away.
func (c *Connector) answerRequests(ce *commands.Event, admit bool) {
	if len(ce.Args) != 1 {
		ce.Reply(textAnswerUsage)
		return
	}
	ofGroup(ce, func(ctx context.Context, client *Client, group groupOf) error {
		people, err := client.chosen(ctx, group, ce.Args[0])
		switch {
		case errors.Is(err, errNobodyWaits):
			ce.Reply(textNobodyWaits)
			return nil
		case errors.Is(err, errBadNumber):
			ce.Reply(textAnswerUsage)
			return nil
		case err != nil:
			return err
		}
		failed, err := group.AnswerRequests(ctx, group.address, admit, people)
		if err != nil {
			return err
		}
		done := textAdmitted
		if !admit {
			done = textRefused
		}
		for _, person := range people {
			name := c.nameOf(ctx, person)
			if why := failed[person]; why != nil {
				ce.Reply(textNotAnswered, name, replyOf(why, client.self.Network))
				continue
			}
			ce.Reply(done, name)
		}
		return nil
	})
}

// chosen are the people that an answer names.
func (c *Client) chosen(ctx context.Context, group groupOf, which string) ([]network.Address, error) {
	if strings.EqualFold(which, "all") {
		waiting, err := c.waitingFor(ctx, group)
		if err == nil && len(waiting) == 0 {
			err = errNobodyWaits
		}
		return waiting, err
	}
	c.mutex.Lock()
	waiting := slices.Clone(c.waiting[group.address])
	c.mutex.Unlock()
	number, err := strconv.Atoi(which)
	if err != nil || number < 1 || number > len(waiting) {
		return nil, errBadNumber
	}
	return waiting[number-1 : number], nil
}

// approval says how people come into the group of the room: by the link alone, or by an administrator's leave.
func (c *Connector) approval(ce *commands.Event) {
	on, known := map[string]bool{"on": true, "off": false}[strings.ToLower(strings.Join(ce.Args, " "))]
	if !known {
		ce.Reply(textApprovalUsage)
		return
	}
	ofGroup(ce, func(ctx context.Context, _ *Client, group groupOf) error {
		return group.SetGroupApproval(ctx, group.address, on) // the room is told when it is so
	})
}
