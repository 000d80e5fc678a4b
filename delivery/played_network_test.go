package delivery

import (
	"context"
	"fmt"

	"go.mau.fi/util/configupgrade"
	"go.mau.fi/util/ptr"
	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// playedNetwork is the smallest connector that bridgev2 takes: one network, one kind of chat, text.
// It plugs delivery in as a real connector does.
type playedNetwork struct {
	bridge *bridgev2.Bridge
	d      *Delivery
	client network.Client
	lost   []string
}

func (n *playedNetwork) Init(bridge *bridgev2.Bridge)        { n.bridge = bridge }
func (n *playedNetwork) Start(context.Context) error         { return nil }
func (n *playedNetwork) GetDBMetaTypes() bridgedb.MetaTypes  { return bridgedb.MetaTypes{} }
func (n *playedNetwork) GetBridgeInfoVersion() (int, int)    { return 1, 1 }
func (n *playedNetwork) GetLoginFlows() []bridgev2.LoginFlow { return nil }
func (n *playedNetwork) GetConfig() (string, any, configupgrade.Upgrader) {
	return "", nil, configupgrade.NoopUpgrader
}
func (n *playedNetwork) GetName() bridgev2.BridgeName {
	return bridgev2.BridgeName{DisplayName: "Played", NetworkID: "played", NetworkURL: "https://played.example"}
}
func (n *playedNetwork) GetCapabilities() *bridgev2.NetworkGeneralCapabilities {
	return &bridgev2.NetworkGeneralCapabilities{}
}
func (n *playedNetwork) CreateLogin(context.Context, *bridgev2.User, string) (bridgev2.LoginProcess, error) {
	return nil, bridgev2.ErrNotLoggedIn
}
func (n *playedNetwork) LoadUserLogin(_ context.Context, l *bridgev2.UserLogin) error {
	l.Client = &playedLogin{n: n, login: l}
	return nil
}

// playedLogin is a login of the played network.
type playedLogin struct {
	n     *playedNetwork
	login *bridgev2.UserLogin
}

func (l *playedLogin) Connect(context.Context)      {}
func (l *playedLogin) Disconnect()                  {}
func (l *playedLogin) IsLoggedIn() bool             { return true }
func (l *playedLogin) LogoutRemote(context.Context) {}
func (l *playedLogin) IsThisUser(_ context.Context, user networkid.UserID) bool {
	return string(user) == string(l.login.ID)
}
func (l *playedLogin) GetCapabilities(context.Context, *bridgev2.Portal) *event.RoomFeatures {
	return &event.RoomFeatures{}
}

func (l *playedLogin) GetUserInfo(_ context.Context, ghost *bridgev2.Ghost) (*bridgev2.UserInfo, error) {
	return &bridgev2.UserInfo{Name: ptr.Ptr("Person " + string(ghost.ID))}, nil
}

func (l *playedLogin) GetChatInfo(_ context.Context, portal *bridgev2.Portal) (*bridgev2.ChatInfo, error) {
	other := networkid.UserID(portal.ID)
	return &bridgev2.ChatInfo{
		Type: ptr.Ptr(bridgedb.RoomTypeDM),
		Members: &bridgev2.ChatMemberList{IsFull: true, OtherUserID: other, MemberMap: bridgev2.ChatMemberMap{
			other:                        {EventSender: bridgev2.EventSender{Sender: other}},
			networkid.UserID(l.login.ID): {EventSender: bridgev2.EventSender{IsFromMe: true, Sender: networkid.UserID(l.login.ID)}},
		}},
	}, nil
}

// HandleMatrixMessage accepts a message, writes bridgev2's row for it and leaves the rest to the outbox.
func (l *playedLogin) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	conversation, err := network.ParseAddress(string(msg.Portal.ID))
	if err != nil {
		return nil, err
	}
	_, err = l.n.d.Outbox.Accept(ctx, Outgoing{
		Login: l.login.ID, Event: msg.Event, NewID: l.n.client.NewMessageID,
		Message: network.Message{
			ID:      network.MessageID{Conversation: conversation, Sender: network.Interop(network.WhatsApp, 12, "105")},
			Content: network.Text{Body: msg.Content.Body},
		},
		Record: &Mapping{
			Message: msg, Row: bridgedb.Message{SenderID: networkid.UserID(l.login.ID)},
			ID: func(id network.MessageID) networkid.MessageID { return networkid.MessageID(id.String()) },
		},
	})
	return &bridgev2.MatrixMessageResponse{Pending: true}, err
}

func (n *playedNetwork) PortalKey(login networkid.UserLoginID, conversation network.Address) networkid.PortalKey {
	return networkid.PortalKey{ID: networkid.PortalID(conversation.String()), Receiver: login}
}

func (n *playedNetwork) HandleRemote(ctx context.Context, id networkid.UserLoginID, e network.Event) error {
	login, err := n.bridge.GetExistingUserLoginByID(ctx, id)
	if err != nil || login == nil {
		return fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	message, ok := e.(network.MessageEvent)
	if !ok {
		return ErrIgnored
	}
	from := networkid.UserID(message.Message.ID.Sender.String())
	return ResultError(login.QueueRemoteEvent(&simplevent.Message[network.Message]{
		EventMeta: simplevent.EventMeta{
			Type: bridgev2.RemoteEventMessage, PortalKey: n.PortalKey(id, message.Message.ID.Conversation), CreatePortal: true,
			Sender: bridgev2.EventSender{Sender: from}, MutateContextFunc: Carry(ctx),
		},
		ID:   networkid.MessageID(message.Message.ID.String()),
		Data: message.Message,
		ConvertMessageFunc: func(
			_ context.Context, _ *bridgev2.Portal, _ bridgev2.MatrixAPI, m network.Message,
		) (*bridgev2.ConvertedMessage, error) {
			content, ok := m.Content.(network.Text)
			if ok && content.Body == "bad" {
				return nil, errConvert
			}
			body := content.Body
			if !ok {
				body = "placeholder"
			}
			return &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{{
				Type: event.EventMessage, Content: &event.MessageEventContent{MsgType: event.MsgText, Body: body},
			}}}, nil
		},
	}))
}

func (n *playedNetwork) Reread(_ context.Context, _ networkid.UserLoginID, msg network.Message) (network.Message, error) {
	return msg, nil
}

func (n *playedNetwork) Bridged(ctx context.Context, key networkid.PortalKey, message network.MessageID) (bool, error) {
	parts, err := n.bridge.DB.Message.GetAllPartsByID(ctx, key.Receiver, networkid.MessageID(message.String()))
	return len(parts) > 0, err
}

func (n *playedNetwork) Client(context.Context, networkid.UserLoginID) (network.Client, error) {
	return n.client, nil
}

func (n *playedNetwork) Report(ctx context.Context, report Report) error {
	status := bridgev2.MessageStatus{Status: event.MessageStatusSuccess}
	if report.Progress != Sent {
		status = bridgev2.WrapErrorInStatus(report.Err)
	}
	n.bridge.Matrix.SendMessageStatus(ctx, &status, report.StatusInfo())
	return nil
}

func (n *playedNetwork) Code(err error) string { return err.Error() }

func (n *playedNetwork) Disk(context.Context, bool, uint64) {}

func (n *playedNetwork) Lost(_ context.Context, _ networkid.UserLoginID, _ network.Event, why string) {
	n.lost = append(n.lost, why)
}
