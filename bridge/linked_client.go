package bridge

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// linkedClient is a login of a user's own account, as a companion device of it: what such an account can do
// beyond a third-party one, or does otherwise.
type linkedClient struct{ *Client }

var (
	_ bridgev2.NetworkAPI                       = (*linkedClient)(nil)
	_ bridgev2.ContactListingNetworkAPI         = (*linkedClient)(nil)
	_ bridgev2.UserSearchingNetworkAPI          = (*linkedClient)(nil)
	_ bridgev2.GroupCreatingNetworkAPI          = (*linkedClient)(nil)
	_ bridgev2.MembershipHandlingNetworkAPI     = (*linkedClient)(nil)
	_ bridgev2.PowerLevelHandlingNetworkAPI     = (*linkedClient)(nil)
	_ bridgev2.RoomNameHandlingNetworkAPI       = (*linkedClient)(nil)
	_ bridgev2.RoomTopicHandlingNetworkAPI      = (*linkedClient)(nil)
	_ bridgev2.RoomAvatarHandlingNetworkAPI     = (*linkedClient)(nil)
	_ bridgev2.DisappearTimerChangingNetworkAPI = (*linkedClient)(nil)
	_ bridgev2.MuteHandlingNetworkAPI           = (*linkedClient)(nil)
	_ bridgev2.TagHandlingNetworkAPI            = (*linkedClient)(nil)
	_ bridgev2.MarkedUnreadHandlingNetworkAPI   = (*linkedClient)(nil)
	_ bridgev2.AltTargetFindingNetworkAPI       = (*linkedClient)(nil)
)

// clientOf is our side of a login, of whatever account kind.
func clientOf(api bridgev2.NetworkAPI) (*Client, bool) {
	switch client := api.(type) {
	case *Client:
		return client, client != nil
	case *linkedClient:
		return client.Client, client != nil
	}
	return nil, false
}

// linked says whether the login is a companion device of the user's own account.
func (c *Client) linked() bool { return c.self.Kind != network.KindInterop }

// ability is what only some networks' clients can do; it fails where this one cannot, or there is no connection.
func ability[T any](c *Client) (able T, err error) {
	client, err := c.live()
	if err != nil {
		return able, err
	}
	able, ok := client.(T)
	if !ok {
		return able, network.ErrUnsupported
	}
	return able, nil
}

// LogoutRemote takes the device off the account; the rooms stay for a login that comes after it.
func (c *linkedClient) LogoutRemote(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	log := zerolog.Ctx(ctx)
	unlinker, err := ability[network.Unlinker](c.Client)
	if err == nil {
		err = unlinker.Unlink(ctx)
	}
	if err != nil {
		log.Warn().Err(err).Msg("The network could not be told that a device is gone; the phone shows it until it is removed there")
	}
	c.Disconnect()
	if err = c.product.forget(ctx, c.connector, c.self); err != nil {
		log.Err(err).Msg("Failed to erase the keys of a login")
	}
}

// GetCapabilities implements [bridgev2.NetworkAPI].
func (c *linkedClient) GetCapabilities(_ context.Context, room *bridgev2.Portal) *event.RoomFeatures {
	conversation, err := portal.Conversation(room.PortalKey)
	return portal.LinkedFeatures(err == nil && conversation.IsGroup())
}

// GetChatInfo implements [bridgev2.NetworkAPI].
func (c *linkedClient) GetChatInfo(ctx context.Context, room *bridgev2.Portal) (*bridgev2.ChatInfo, error) {
	conversation, err := portal.Conversation(room.PortalKey)
	if err != nil {
		return nil, fmt.Errorf("failed to describe a chat: %w", err)
	}
	if conversation.IsGroup() {
		return c.groupInfo(ctx, room, conversation)
	}
	return c.directInfo(ctx, conversation), nil
}

// directInfo describes a direct chat. What the address book calls the person names the room, which nobody else sees.
func (c *Client) directInfo(ctx context.Context, person network.Address) *bridgev2.ChatInfo {
	info := portal.Info(portal.Room{Conversation: person, Topic: textLinkedTopic(person.Network)})
	directory, err := ability[network.Directory](c)
	if err != nil || c.connector.config.Linked.ContactNames != NamesPerLogin {
		return info
	}
	if known, err := directory.Person(ctx, person); err == nil && known.Own && known.Name != "" {
		name := c.connector.namer.Name(puppet.Profile{Address: person, Name: known.Name})
		info.Name = &name
	}
	return info
}

// CustomizePersonalFilteringSpace names the space after the network and the account.
func (c *linkedClient) CustomizePersonalFilteringSpace(req *mautrix.ReqCreateRoom) {
	c.Client.CustomizePersonalFilteringSpace(req)
	req.Name = textLinkedSpace(c.self.Network, c.login.RemoteProfile.Phone)
}

// FindAltTargetMessage finds a message under the other address of its chat or sender: what was known by phone number
// goes on under the hidden number, and the other way round.
func (c *linkedClient) FindAltTargetMessage(
	ctx context.Context, id networkid.MessageID, _ bridgev2.RemoteEventWithTargetMessage,
) ([]networkid.MessageID, error) {
	known, err := portal.ParseMessageID(id)
	if err != nil {
		return nil, nil
	}
	return c.connector.namesOf(ctx, known), nil
}

// namesOf are the other ids of a message, under the other addresses of its chat and its sender.
func (c *Connector) namesOf(ctx context.Context, known network.MessageID) (others []networkid.MessageID) {
	for _, conversation := range append(c.aliases(ctx, known.Conversation), known.Conversation) {
		for _, sender := range append(c.aliases(ctx, known.Sender), known.Sender) {
			other := network.MessageID{Conversation: conversation, Sender: sender, ID: known.ID}
			if other != known {
				others = append(others, portal.MessageID(other))
			}
		}
	}
	return others
}
