package linked

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/wire"
)

// groupChanged takes a change of a group.
func (l *link) groupChanged(ctx context.Context, e *events.GroupInfo) error {
	event := network.GroupEvent{Group: network.GroupAddress(e.JID.User), Time: e.Timestamp}
	if event.Group.Validate() != nil {
		return nil
	}
	if err := l.changedBy(ctx, &event, e.Sender, e.SenderPN); err != nil {
		return err
	}
	change := &event.Change
	if e.Name != nil {
		change.Name = text(e.Name.Name)
	}
	if e.Topic != nil {
		change.Topic = text(e.Topic.Topic)
	}
	if e.Announce != nil {
		change.Announce = &e.Announce.IsAnnounce
	}
	if e.Locked != nil {
		change.Locked = &e.Locked.IsLocked
	}
	if e.MembershipApprovalMode != nil {
		change.Approval = l.approval(ctx, e.JID)
	}
	if e.Ephemeral != nil {
		timer := time.Duration(0)
		if e.Ephemeral.IsEphemeral {
			timer = time.Duration(e.Ephemeral.DisappearingTimer) * time.Second
		}
		change.Timer = &timer
	}
	change.LinkReset = e.NewInviteLink != nil
	change.Deleted = e.Delete != nil && e.Delete.Deleted
	if err := l.membersChanged(ctx, &event, e); err != nil {
		return err
	}
	return l.handGroup(ctx, event)
}

func text(s string) *string {
	s = wire.Clean(s)
	return &s
}

// changedBy notes who changed a group.
func (l *link) changedBy(ctx context.Context, event *network.GroupEvent, by, byPhone *types.JID) error {
	if by == nil || by.IsEmpty() {
		return nil
	}
	if byPhone != nil {
		l.lib.StoreLIDPNMapping(ctx, plain(*by), plain(*byPhone))
	}
	person, err := l.own.address(ctx, *by)
	if err != nil {
		return unlessNobody(err)
	}
	event.By = person
	event.ByAlias, err = l.own.alias(ctx, person)
	return err
}

// membersChanged notes who came, went, rose and fell.
func (l *link) membersChanged(ctx context.Context, event *network.GroupEvent, e *events.GroupInfo) error {
	change := &event.Change
	joined, err := l.own.addresses(ctx, e.Join)
	if err != nil {
		return err
	}
	left, err := l.own.addresses(ctx, e.Leave)
	if err != nil {
		return err
	}
	for _, person := range joined {
		if e.JoinReason == "invite" || person == event.By || event.By.IsZero() {
			change.Joined = append(change.Joined, person)
		} else {
			change.Added = append(change.Added, person)
		}
	}
	for _, person := range left {
		if person == event.By || event.By.IsZero() {
			change.Left = append(change.Left, person)
		} else {
			change.Removed = append(change.Removed, person)
		}
	}
	if change.Promoted, err = l.own.addresses(ctx, e.Promote); err != nil {
		return err
	}
	if change.Demoted, err = l.own.addresses(ctx, e.Demote); err != nil {
		return err
	}
	return l.requestsChanged(ctx, change, e)
}

// The changes of who waits for an administrator, which the library does not read.
const (
	requestsCame      = "created_membership_requests"
	requestsWithdrawn = "revoked_membership_requests"
)

// requestsChanged notes who wants to be let in, and who does not any more.
func (l *link) requestsChanged(ctx context.Context, change *network.GroupChange, e *events.GroupInfo) error {
	for _, node := range e.UnknownChanges {
		var people []types.JID
		for _, child := range node.GetChildren() {
			if jid := child.AttrGetter().OptionalJIDOrEmpty("jid"); !jid.IsEmpty() {
				l.lib.StoreLIDPNMapping(ctx, plain(jid), plain(child.AttrGetter().OptionalJIDOrEmpty("phone_number")))
				people = append(people, jid)
			}
		}
		if len(people) == 0 && e.Sender != nil {
			people = append(people, *e.Sender)
		}
		who, err := l.own.addresses(ctx, people)
		switch {
		case err != nil:
			return err
		case node.Tag == requestsCame:
			change.Requested = append(change.Requested, who...)
		case node.Tag == requestsWithdrawn:
			change.Withdrawn = append(change.Withdrawn, who...)
		}
	}
	return nil
}

// approval asks whether a group has its administrators let people in, nil if that cannot be had: the library reads every
// change of it as a yes.
func (l *link) approval(ctx context.Context, group types.JID) *bool {
	ctx, cancel := context.WithTimeout(ctx, approvalPatience)
	defer cancel()
	info, err := l.lib.GetGroupInfo(ctx, group)
	if err != nil {
		l.owner.cfg.Log.Debug().Err(failure(err)).Msg("It cannot be told how people come into a group now")
		return nil
	}
	return &info.IsJoinApprovalRequired
}

// approvalPatience is how long an answer about a group may take while other events wait.
const approvalPatience = 20 * time.Second

// groupJoined takes that the login has come into a group.
func (l *link) groupJoined(ctx context.Context, e *events.JoinedGroup) error {
	group, err := l.readGroup(ctx, &e.GroupInfo)
	if err != nil {
		return nil //nolint:nilerr // not a group that could have a room
	}
	event := network.GroupEvent{Group: group.Address, Time: e.GroupCreated, Change: network.GroupChange{Whole: &group}}
	if e.Type != "new" {
		event.Time = time.Time{}
	}
	if err := l.changedBy(ctx, &event, e.Sender, e.SenderPN); err != nil {
		return err
	}
	if e.Reason == "invite" {
		event.Change.Joined = []network.Address{l.owner.Self()}
	} else {
		event.Change.Added = []network.Address{l.owner.Self()}
	}
	return l.handGroup(ctx, event)
}

// handGroup hands over a change of a group, unless nothing of it is known here.
func (l *link) handGroup(ctx context.Context, event network.GroupEvent) error {
	said, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("failed to name a group's change: %w", err)
	}
	nothing, err := json.Marshal(network.GroupChange{})
	if err != nil {
		return fmt.Errorf("failed to name a group's change: %w", err)
	}
	if change, err := json.Marshal(event.Change); err != nil || string(change) == string(nothing) {
		return err
	}
	sum := sha256.Sum256(said) // the network's own id of the change does not come through the library
	event.ID = hex.EncodeToString(sum[:16])
	return l.hand(ctx, event)
}

// pictureChanged takes a new picture of a group or a person.
func (l *link) pictureChanged(ctx context.Context, e *events.Picture) error {
	picture := e.PictureID
	if e.Remove {
		picture = ""
	}
	whose, err := l.own.address(ctx, e.JID)
	if err != nil {
		return unlessNobody(err)
	}
	if !whose.IsGroup() {
		return l.hand(ctx, network.PersonEvent{Person: whose, Picture: true, PictureID: picture, Time: e.Timestamp})
	}
	event := network.GroupEvent{Group: whose, Time: e.Timestamp, Change: network.GroupChange{Picture: &picture}}
	if err = l.changedBy(ctx, &event, &e.Author, nil); err != nil && !errors.Is(err, errNobody) {
		return err
	}
	return l.handGroup(ctx, event)
}
