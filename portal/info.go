package portal

import (
	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/puppet"
)

// viewOnlyLevel is above every user's power level and below the bridge bot's.
const viewOnlyLevel = 50

// Room is what decides how a portal's room looks.
type Room struct {
	Conversation network.Address
	Topic        string
	// ViewOnly lets nobody but the bridge write.
	ViewOnly bool
}

// Info describes a direct chat. Name and picture are left to the ghost; the
// user's own ghost is not a member, so that clients see a room of two.
func Info(room Room) *bridgev2.ChatInfo {
	other := puppet.ID(room.Conversation)
	members := Access(room.Conversation, room.ViewOnly)
	members.IsFull = true
	members.TotalMemberCount = 2
	members.MemberMap = map[networkid.UserID]bridgev2.ChatMember{
		"":    {EventSender: bridgev2.EventSender{IsFromMe: true}},
		other: {EventSender: bridgev2.EventSender{Sender: other}},
	}
	return &bridgev2.ChatInfo{
		Topic:   ptr.Ptr(room.Topic),
		Type:    ptr.Ptr(database.RoomTypeDM),
		Members: members,
	}
}

// Access opens or closes a direct chat for writing and changes nothing else.
func Access(conversation network.Address, viewOnly bool) *bridgev2.ChatMemberList {
	level := 0
	if viewOnly {
		level = viewOnlyLevel
	}
	return &bridgev2.ChatMemberList{
		OtherUserID: puppet.ID(conversation),
		PowerLevels: &bridgev2.PowerLevelOverrides{EventsDefault: &level},
	}
}

// IsViewOnly says whether a chat is closed for writing.
func IsViewOnly(levels *event.PowerLevelsEventContent) bool {
	return levels.EventsDefault >= viewOnlyLevel
}

// FillBridgeInfo names the network that a room leads to, and the kind of account it goes through.
func FillBridgeInfo(content *event.BridgeEventContent, conversation network.Address, linked bool, icon id.ContentURIString) {
	content.Protocol.ID = string(conversation.Network)
	content.Protocol.DisplayName = conversation.Network.DisplayName()
	content.Protocol.AvatarURL = icon
	content.Network = &event.BridgeInfoSection{
		ID:          string(conversation.Network) + "-interop",
		DisplayName: "Third-party chats",
		AvatarURL:   icon,
	}
	if linked {
		content.Network.ID, content.Network.DisplayName = string(conversation.Network)+"-linked", "Linked device"
	}
}

// EncryptionState is the type of the state event that says where messages can be read.
var EncryptionState = event.Type{Type: "causeway.encryption", Class: event.StateEventType}

// EncryptionContent says how each leg of a chat is encrypted and that the bridge,
// between them, decrypts (docs/protocol.md#consent).
func EncryptionContent(roomEncrypted bool) *event.Content {
	matrix := "none"
	if roomEncrypted {
		matrix = "megolm"
	}
	return &event.Content{Raw: map[string]any{
		"remote":      "signal",
		"matrix":      matrix,
		"decrypts_at": "bridge",
	}}
}
