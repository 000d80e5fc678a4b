package network

import (
	"context"
	"time"
)

// Group is what a network says of a group.
type Group struct {
	Address Address
	Name    string
	// Topic is the description.
	Topic string
	// Picture is the id of the picture, empty if there is none or it is not known; see [Directory.Picture].
	Picture string
	// Announce says that only administrators may write, Locked that only they may change name, topic and picture,
	// Approval that they must let in whoever comes by link.
	Announce, Locked, Approval bool
	// Timer is how long messages stay, zero if they do not disappear.
	Timer time.Duration
	// Parent is the community that the group belongs to, zero if none. Community says that it is one itself.
	Parent    Address
	Community bool
	// Created is when the group was made, zero if unknown.
	Created time.Time
	// Members are all members, the login itself included while it is one; nil where the network does not tell
	// them, as of a group that one looks at by its link.
	Members []Member
}

// Member is a person in a group.
type Member struct {
	Address Address
	// Alias is another address of the same person, zero if unknown.
	Alias Address
	Admin bool
	// Owner is an administrator whom no other can remove.
	Owner bool
}

// GroupEvent tells that a group has changed, the login's own membership included.
type GroupEvent struct {
	Group Address
	// ID tells the change apart from others; it is the same when the network repeats it.
	ID string
	// By is who changed it, zero if the network does not say; ByAlias another address of the same person.
	By, ByAlias Address
	Time        time.Time
	Change      GroupChange
}

// GroupChange is what changed. What did not is nil.
type GroupChange struct {
	// Whole is the whole group as it is now, told when the login has come into it.
	Whole *Group `json:",omitempty"`

	Name, Topic *string `json:",omitempty"`
	// Picture is the id of the new picture, empty if it was removed.
	Picture                    *string        `json:",omitempty"`
	Announce, Locked, Approval *bool          `json:",omitempty"`
	Timer                      *time.Duration `json:",omitempty"`

	// Added were brought in by somebody, Joined came by themselves; Removed were sent away, Left went by themselves.
	Added, Joined, Removed, Left []Address `json:",omitzero"`
	// Promoted became administrators, Demoted are so no longer.
	Promoted, Demoted []Address `json:",omitzero"`
	// Requested want to be let in by an administrator, Withdrawn do not any more.
	Requested, Withdrawn []Address `json:",omitzero"`
	// LinkReset says that the old invitation link no longer works.
	LinkReset bool `json:",omitempty"`
	// Deleted says that the group is gone.
	Deleted bool `json:",omitempty"`
}

// MemberChange is what is done to members of a group.
type MemberChange string

// The changes of members.
const (
	AddMember     MemberChange = "add"
	RemoveMember  MemberChange = "remove"
	PromoteMember MemberChange = "promote"
	DemoteMember  MemberChange = "demote"
)

// Groups is a client that has groups. Errors wrap [ErrNotMember], [ErrForbidden] where only an administrator
// may, [ErrUnknownGroup], [ErrBadInvite], [ErrRateLimited] or the errors of a connection. Whatever changes
// comes back as [GroupEvent] too.
type Groups interface {
	// Group is a group as it is now; Groups are all those that the login is a member of.
	Group(ctx context.Context, group Address) (Group, error)
	Groups(ctx context.Context) ([]Group, error)
	// CreateGroup makes a group of the login and members. Failed has whoever could not be added, as of ChangeMembers.
	CreateGroup(ctx context.Context, name string, members []Address) (group Group, failed map[Address]error, err error)
	// ChangeMembers does one thing to several people. Failed has those with whom it did not work: [ErrPrivacy]
	// of people who can only be invited (by a [GroupInvite] message, if the network gave one for them), [ErrUnknownPerson].
	ChangeMembers(ctx context.Context, group Address, change MemberChange, people []Address) (failed map[Address]error, err error)
	LeaveGroup(ctx context.Context, group Address) error
	SetGroupName(ctx context.Context, group Address, name string) error
	SetGroupTopic(ctx context.Context, group Address, topic string) error
	// SetGroupPicture sets the picture, a square JPEG of at most 640 pixels; nil removes it. It returns the picture's id.
	SetGroupPicture(ctx context.Context, group Address, jpeg []byte) (id string, err error)
	SetGroupAnnounce(ctx context.Context, group Address, announce bool) error
	SetGroupLocked(ctx context.Context, group Address, locked bool) error
	// SetGroupApproval has whoever comes by the link wait for an administrator. JoinRequests are those who wait, the first to
	// come first; AnswerRequests lets them in or turns them away, failed as of ChangeMembers.
	SetGroupApproval(ctx context.Context, group Address, approval bool) error
	JoinRequests(ctx context.Context, group Address) ([]Address, error)
	AnswerRequests(ctx context.Context, group Address, admit bool, people []Address) (failed map[Address]error, err error)
	// InviteLink is the link by which people join; reset replaces it, and the old one works no longer.
	InviteLink(ctx context.Context, group Address, reset bool) (link string, err error)
	// ResolveLink looks at the group behind a link, JoinByLink joins it. Joining a group that lets people in by
	// approval gives [ErrApproval]: the login is in when an administrator agrees.
	ResolveLink(ctx context.Context, link string) (Group, error)
	JoinByLink(ctx context.Context, link string) (Address, error)
	// AcceptInvite joins by an invitation that came as a message from inviter.
	AcceptInvite(ctx context.Context, invite GroupInvite, inviter Address) error
}

// InviteError is the failure to add somebody who can be invited instead: it wraps [ErrPrivacy] and has the
// invitation, to be sent to the person as a message.
type InviteError struct{ Invite GroupInvite }

// Error implements error.
func (*InviteError) Error() string { return ErrPrivacy.Error() }

// Unwrap is [ErrPrivacy].
func (*InviteError) Unwrap() error { return ErrPrivacy }

func (GroupEvent) event() {}
