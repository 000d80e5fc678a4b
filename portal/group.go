package portal

import (
	"time"

	"go.mau.fi/util/jsontime"
	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/puppet"
)

// Power levels in the room of a group. The bridge bot stands above all of them.
const (
	memberLevel = 0
	adminLevel  = 50
	// ownerLevel is an administrator's whom no other can demote.
	ownerLevel = 75
	// closedLevel is what nobody but the bridge has.
	closedLevel = 95

	day = 24 * time.Hour
)

// GroupRoom is what decides how the room of a group looks.
type GroupRoom struct {
	Group network.Group
	Self  network.Address
	// Topic stands in for an empty description.
	Topic string
	// Picture is the group's picture, nil to leave it as it is.
	Picture *bridgev2.Avatar
	// Left says that the login is not in the group any more: the room can be read only.
	Left bool
}

// GroupInfo describes the room of a group.
func GroupInfo(room GroupRoom) *bridgev2.ChatInfo {
	topic := room.Group.Topic
	if topic == "" {
		topic = room.Topic
	}
	info := &bridgev2.ChatInfo{
		Name:      ptr.Ptr(GroupName(room.Group.Name)),
		Topic:     ptr.Ptr(cleanText(topic)),
		Avatar:    room.Picture,
		Type:      ptr.Ptr(database.RoomTypeDefault),
		Disappear: ptr.Ptr(Timer(room.Group.Timer)),
		Members: &bridgev2.ChatMemberList{
			IsFull:           len(room.Group.Members) > 0,
			TotalMemberCount: len(room.Group.Members),
			MemberMap:        GroupMembers(room.Group.Members, room.Self),
			PowerLevels:      GroupLevels(GroupMode{room.Group.Announce, room.Group.Locked, room.Left}),
		},
		ExcludeChangesFromTimeline: true,
	}
	if room.Left {
		info.Members.IsFull = false
	}
	return info
}

// GroupName is a group's name as a room's: one harmless line.
func GroupName(name string) string { return line(name, maxTitle) }

// GroupMembers are the members of a group as those of its room. The login's user is always one of them.
func GroupMembers(members []network.Member, self network.Address) bridgev2.ChatMemberMap {
	of := bridgev2.ChatMemberMap{}
	for _, member := range members {
		chatMember := Member(member.Address, self, event.MembershipJoin)
		chatMember.PowerLevel = ptr.Ptr(Rank(member.Admin, member.Owner))
		of[chatMember.Sender] = chatMember
	}
	if _, in := of[puppet.ID(self)]; !in {
		of[puppet.ID(self)] = Member(self, self, event.MembershipJoin)
	}
	return of
}

// Member is one person's membership in a room.
func Member(person, self network.Address, membership event.Membership) bridgev2.ChatMember {
	return bridgev2.ChatMember{EventSender: puppet.Sender(person, self), Membership: membership}
}

// Rank is the power level of a member.
func Rank(admin, owner bool) int {
	switch {
	case owner:
		return ownerLevel
	case admin:
		return adminLevel
	}
	return memberLevel
}

// IsAdminLevel says whether a power level makes its holder an administrator of the group.
func IsAdminLevel(level int) bool { return level >= adminLevel }

// GroupMode is what members may do.
type GroupMode struct {
	// Announce: only administrators may write. Locked: only they may change what the group says of itself.
	Announce, Locked bool
	// Left: nobody may do anything, as the login is not in the group any more.
	Left bool
}

// GroupLevels are the power levels that the mode of a group asks for. What the network cannot do gets a level that nobody has.
func GroupLevels(mode GroupMode) *bridgev2.PowerLevelOverrides {
	write, describe, invite, manage := memberLevel, memberLevel, memberLevel, adminLevel
	if mode.Announce {
		write = adminLevel
	}
	if mode.Locked {
		describe = adminLevel
	}
	if mode.Left {
		write, describe, invite, manage = closedLevel, closedLevel, closedLevel, closedLevel
	}
	return &bridgev2.PowerLevelOverrides{
		EventsDefault: ptr.Ptr(write),
		UsersDefault:  ptr.Ptr(memberLevel),
		StateDefault:  ptr.Ptr(closedLevel),
		Invite:        ptr.Ptr(invite),
		Kick:          ptr.Ptr(manage),
		Ban:           ptr.Ptr(closedLevel),
		Redact:        ptr.Ptr(manage),
		Events: map[event.Type]int{
			event.StateRoomName:                describe,
			event.StateTopic:                   describe,
			event.StateRoomAvatar:              describe,
			event.StateBeeperDisappearingTimer: describe,
			event.StatePowerLevels:             manage,
			event.EventReaction:                min(write, memberLevel),
			event.EventRedaction:               memberLevel,
		},
	}
}

// ModeOf reads from a room's power levels what members are to be allowed.
func ModeOf(levels *event.PowerLevelsEventContent) (announce, locked bool) {
	for _, kind := range []event.Type{event.StateRoomName, event.StateTopic, event.StateRoomAvatar} {
		locked = locked || IsAdminLevel(levels.GetEventLevel(kind))
	}
	return IsAdminLevel(levels.EventsDefault), locked
}

// Timer is how long messages stay, as bridgev2 has it.
func Timer(timer time.Duration) database.DisappearingSetting {
	if timer <= 0 {
		return database.DisappearingSetting{}
	}
	return database.DisappearingSetting{Type: event.DisappearingTypeAfterSend, Timer: timer}
}

// Timers are the times after which messages can disappear.
func Timers() []time.Duration { return []time.Duration{day, 7 * day, 90 * day} }

func timerFeature() *event.DisappearingTimerCapability {
	feature := &event.DisappearingTimerCapability{Types: []event.DisappearingType{event.DisappearingTypeAfterSend}}
	for _, timer := range Timers() {
		feature.Timers = append(feature.Timers, jsontime.MS(timer))
	}
	return feature
}
