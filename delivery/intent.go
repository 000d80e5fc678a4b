package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/matrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/failpoint"
)

// internalErrorField is where bridgev2 puts raw error texts into notices; users have no use for them and others might.
const internalErrorField = "fi.mau.bridge.internal_error"

// Intent acts on Matrix as one user. What it sends for an event of a network has the same
// transaction id at each try and a marker in its outer content, by which it is found in the room later.
type Intent struct {
	*matrix.ASIntent
	m *Matrix
}

var (
	_ bridgev2.MatrixAPI                       = (*Intent)(nil)
	_ bridgev2.MarkAsDMMatrixAPI               = (*Intent)(nil)
	_ bridgev2.MatrixAPIWithArbitraryRoomState = (*Intent)(nil)
)

// SendMessage sends an event once. If the room is known to have it from an earlier try, it
// returns that one.
func (i *Intent) SendMessage(
	ctx context.Context, room id.RoomID, eventType event.Type, content *event.Content, extra *bridgev2.MatrixSendExtra,
) (*mautrix.RespSendEvent, error) {
	if extra == nil {
		extra = &bridgev2.MatrixSendExtra{}
	}
	carried := carriageOf(ctx)
	if _, isErrorNotice := content.Raw[internalErrorField]; isErrorNotice {
		if carried != nil {
			// the lane shows a placeholder, once, when it has given up
			return &mautrix.RespSendEvent{}, nil
		}
		content.Raw = maps.Clone(content.Raw)
		delete(content.Raw, internalErrorField)
	}
	if carried == nil {
		if extra.MessageMeta != nil || extra.ReactionMeta != nil {
			i.m.d.metrics.randomTransactions.Add(1)
		}
		return i.ASIntent.SendMessage(ctx, room, eventType, content, extra)
	}
	if err := carried.stopped(); err != nil {
		return nil, err
	}
	parts := carried.effect(room, i.GetMXID(), substanceOf(eventType, content, extra)...)
	secret := i.m.d.secret
	marker := secret.marker(parts...)
	if known, ok := carried.find(marker); ok {
		i.m.d.metrics.reconciled.Add(1)
		return &mautrix.RespSendEvent{EventID: known}, nil
	}
	resp, err := i.ask(ctx, carried, room, eventType, content, extra, secret.transactionID(parts...), marker)
	if err == nil {
		err = failpoint.Hit(failpoint.SendUsed)
	}
	if err != nil {
		kind, _ := faultOf(err)
		// what takes something out of a room that is not there is refused for good, and keeps nothing else from its room
		refusedRemoval := kind != faultTransient && eventType == event.EventRedaction
		carried.fail(err, !refusedRemoval && !isNotice(eventType, extra))
		return nil, err
	}
	return resp, nil
}

// isNotice says whether an event is none of the network's, but words of the bridge's own.
func isNotice(eventType event.Type, extra *bridgev2.MatrixSendExtra) bool {
	return eventType == event.EventMessage && extra.MessageMeta == nil
}

// substanceOf tells the effects of one event apart by what they are.
func substanceOf(eventType event.Type, content *event.Content, extra *bridgev2.MatrixSendExtra) []string {
	switch parsed := content.Parsed.(type) {
	case *event.RedactionEventContent:
		return []string{eventType.Type, "redacts", string(parsed.Redacts)}
	case *event.ReactionEventContent:
		return []string{eventType.Type, "reacts", string(parsed.RelatesTo.EventID), parsed.RelatesTo.Key}
	case *event.MessageEventContent:
		if replaced := parsed.RelatesTo.GetReplaceID(); replaced != "" {
			return []string{eventType.Type, "replaces", string(replaced)}
		}
		if isNotice(eventType, extra) {
			return []string{eventType.Type, "says", parsed.Body}
		}
	}
	if extra.MessageMeta == nil {
		return []string{eventType.Type}
	}
	return []string{eventType.Type, "part", string(extra.MessageMeta.PartID)}
}

// ask asks the homeserver, and keeps book of whether it is known what came of it.
func (i *Intent) ask(
	ctx context.Context, carried *carriage, room id.RoomID, eventType event.Type, content *event.Content,
	extra *bridgev2.MatrixSendExtra, transaction, marker string,
) (*mautrix.RespSendEvent, error) {
	point := failpoint.SendBefore
	if isEditOrRedaction(eventType, content) {
		point = failpoint.RedactOrEdit
	}
	if err := failpoint.Hit(point); err != nil {
		return nil, err
	}
	request := outgoingEvent{room: room, kind: eventType, content: content, extra: extra, transaction: transaction, marker: marker}
	if err := i.prepare(ctx, &request); err != nil {
		return nil, err
	}
	carried.ask()
	resp, err := i.put(ctx, request)
	if errors.Is(err, mautrix.MForbidden) && !i.Matrix.IsCustomPuppet {
		err = i.rejoin(ctx, room, err)
		if err == nil {
			resp, err = i.put(ctx, request)
		}
	}
	if err == nil {
		err = failpoint.Hit(failpoint.SendCommitted)
	}
	if err != nil {
		if wasRefused(err) {
			carried.answered()
		}
		return nil, err
	}
	carried.answered()
	carried.remember(marker, resp.EventID)
	return resp, nil
}

// wasRefused says whether an error proves that the homeserver does not have the event.
func wasRefused(err error) bool {
	kind, _ := faultOf(err)
	return kind == faultRefused || kind == faultTooLarge || kind == faultCredentials
}

// rejoin makes a ghost a member again that the room has lost although our records do not know.
func (i *Intent) rejoin(ctx context.Context, room id.RoomID, cause error) error {
	zerolog.Ctx(ctx).Warn().Stringer("room_id", room).Msg("Not allowed to speak in a room, joining it again")
	err := i.Matrix.EnsureJoined(ctx, room, appservice.EnsureJoinedParams{IgnoreCache: true})
	if err != nil {
		return fmt.Errorf("%w (joining again: %w)", cause, err)
	}
	return nil
}

// outgoingEvent is an event on its way to the homeserver.
type outgoingEvent struct {
	room        id.RoomID
	kind        event.Type
	content     *event.Content
	extra       *bridgev2.MatrixSendExtra
	transaction string
	marker      string
}

// prepare encrypts the event where the room wants it, and marks it. It is done once, so that both
// tries of a rejoin send the same.
func (i *Intent) prepare(ctx context.Context, e *outgoingEvent) error {
	if message, ok := e.content.Parsed.(*event.MessageEventContent); ok && e.kind == event.EventMessage {
		message.AddPerMessageProfileFallback()
	}
	if e.kind != event.EventRedaction && (e.kind != event.EventReaction || i.Connector.Config.Encryption.MSC4392) {
		if err := i.encrypt(ctx, e); err != nil {
			return err
		}
	}
	raw := maps.Clone(e.content.Raw)
	if raw == nil {
		raw = map[string]any{}
	}
	raw[i.m.d.secret.markerKey()] = e.marker
	e.content = &event.Content{Parsed: e.content.Parsed, Raw: raw}
	return nil
}

func (i *Intent) encrypt(ctx context.Context, e *outgoingEvent) error {
	encrypted := i.Connector.Config.Encryption.Require
	if !encrypted {
		var err error
		if encrypted, err = i.Connector.StateStore.IsEncrypted(ctx, e.room); err != nil {
			return fmt.Errorf("%w: failed to check if the room is encrypted: %w", bridgev2.ErrDatabaseError, err)
		}
	}
	if !encrypted {
		return nil
	}
	if i.Connector.Crypto == nil {
		return errors.New("the room is encrypted, and the bridge is not set up for encryption")
	}
	if i.Matrix.IsCustomPuppet {
		// inside the encryption, with the time by which our own events are known again; after it the plain value is added
		var at int64
		if !e.extra.Timestamp.IsZero() {
			at = e.extra.Timestamp.UnixMilli()
		}
		i.Matrix.AddDoublePuppetValueWithTS(e.content, at)
	}
	if err := i.Connector.Crypto.Encrypt(ctx, e.room, e.kind, e.content); err != nil {
		return fmt.Errorf("failed to encrypt: %w", err)
	}
	e.kind = event.EventEncrypted
	return nil
}

// put asks for the event under its transaction id. Redactions have a request of their own where the homeserver takes them as no other event.
func (i *Intent) put(ctx context.Context, e outgoingEvent) (*mautrix.RespSendEvent, error) {
	redaction, ok := e.content.Parsed.(*event.RedactionEventContent)
	if ok && e.kind == event.EventRedaction && !i.Connector.SpecVersions.Supports(mautrix.FeatureRedactSendAsEvent) {
		i.Matrix.AddDoublePuppetValue(e.content)
		return i.Matrix.RedactEvent(ctx, e.room, redaction.Redacts, mautrix.ReqRedact{
			Reason: redaction.Reason, TxnID: e.transaction, Extra: maps.Clone(e.content.Raw),
		})
	}
	request := mautrix.ReqSendEvent{TransactionID: e.transaction}
	if !e.extra.Timestamp.IsZero() {
		request.Timestamp = e.extra.Timestamp.UnixMilli()
	}
	return i.Matrix.SendMessageEvent(ctx, e.room, e.kind, e.content, request)
}

func isEditOrRedaction(eventType event.Type, content *event.Content) bool {
	message, ok := content.Parsed.(*event.MessageEventContent)
	return eventType == event.EventRedaction || ok && message.RelatesTo.GetReplaceID() != ""
}

// CreateRoom creates the room of a conversation once: a creation that an earlier try or process may
// have completed is looked for first.
func (i *Intent) CreateRoom(ctx context.Context, req *mautrix.ReqCreateRoom) (id.RoomID, error) {
	if req.BeeperLocalRoomID == "" {
		return i.ASIntent.CreateRoom(ctx, req)
	}
	// bridgev2's own deterministic name of the conversation; homeservers do not know the field
	name := strings.TrimSuffix(string(req.BeeperLocalRoomID), ":"+i.Connector.ServerName())
	return i.m.rooms.create(ctx, name, func(markerKey, marker string) (id.RoomID, error) {
		req.CreationContent = maps.Clone(req.CreationContent)
		if req.CreationContent == nil {
			req.CreationContent = map[string]any{}
		}
		req.CreationContent[markerKey] = marker
		return i.ASIntent.CreateRoom(ctx, req)
	})
}
