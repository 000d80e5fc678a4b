package linked

import (
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/reflect/protoreflect"

	"causeway/network"
	"causeway/wire"
)

// onPhone is where everything can be seen that cannot be shown here.
const onPhone = "WhatsApp on your phone"

// unknownKind is what stands in the place of content that this version does not know.
const unknownKind = "message of an unknown kind"

// deepest is how many wrappers lie around one message at most.
const deepest = 8

// wrapping is what the wrappers around a message say of it.
type wrapping struct{ viewOnce, lottie bool }

// peel takes a message out of its wrappers.
func peel(m *waE2E.Message) (*waE2E.Message, wrapping) {
	var wrap wrapping
	for range deepest {
		inner := innerOf(m, &wrap)
		if inner == nil {
			break
		}
		if inner.MessageContextInfo == nil {
			inner.MessageContextInfo = m.MessageContextInfo
		}
		m = inner
	}
	if m == nil {
		m = &waE2E.Message{}
	}
	return m, wrap
}

// innerOf is the message within a wrapper, nil if there is none.
func innerOf(m *waE2E.Message, wrap *wrapping) *waE2E.Message {
	if inner := m.GetDeviceSentMessage().GetMessage(); inner != nil {
		return inner
	}
	for _, once := range []*waE2E.FutureProofMessage{m.GetViewOnceMessage(), m.GetViewOnceMessageV2(), m.GetViewOnceMessageV2Extension()} {
		if inner := once.GetMessage(); inner != nil {
			wrap.viewOnce = true
			return inner
		}
	}
	if inner := m.GetLottieStickerMessage().GetMessage(); inner != nil {
		wrap.lottie = true
		return inner
	}
	for _, wrapper := range []*waE2E.FutureProofMessage{
		m.GetEphemeralMessage(), m.GetDocumentWithCaptionMessage(), m.GetEditedMessage(), m.GetGroupMentionedMessage(),
		m.GetAssociatedChildMessage(), m.GetPollCreationMessageV4(), m.GetPollCreationOptionImageMessage(), m.GetBotInvokeMessage(),
		m.GetSpoilerMessage(), m.GetQuestionMessage(), m.GetQuestionReplyMessage(), m.GetLimitSharingMessage(),
		m.GetBotForwardedMessage(), m.GetEventCoverImage(),
	} {
		if inner := wrapper.GetMessage(); inner != nil {
			return inner
		}
	}
	return nil
}

// silentPart says whether a field is one of those that say nothing to a person.
func silentPart(field protoreflect.Name) bool {
	switch field {
	case "messageContextInfo", "senderKeyDistributionMessage", "fastRatchetKeySenderKeyDistributionMessage", "protocolMessage",
		"stickerSyncRmrMessage", "botPlatformRegistrationSuccessMessage", "groupRootKeyShare", "rootSecretDistributeMessage",
		"statusNotificationMessage", "statusLinkPreviewMetadata", "chat", "deviceSentMessage", "keepInChatMessage", "messageHistoryBundle", "messageHistoryNotice",
		"placeholderMessage":
		return true
	}
	return false
}

// unsupported names what a message is that cannot be shown; nil if it has nothing to show.
func unsupported(m *waE2E.Message) network.Content {
	switch {
	case m.PlaceholderMessage != nil:
		return network.Unsupported{Type: "message that is shown on the phone only", See: onPhone}
	case m.KeepInChatMessage != nil:
		return network.Unsupported{Type: "change of which disappearing messages are kept", See: onPhone}
	case m.MessageHistoryBundle != nil, m.MessageHistoryNotice != nil:
		return network.Unsupported{Type: "shared history of a group", See: onPhone}
	}
	var kind protoreflect.Name
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !silentPart(field.Name()) {
			kind = field.Name()
		}
		return kind == ""
	})
	if kind == "" && len(m.ProtoReflect().GetUnknown()) == 0 {
		return nil
	}
	return network.Unsupported{Type: kindName(kind), Text: wire.Clean(readable(m)), See: onPhone}
}

// kindName is a field's name in plain words.
func kindName(field protoreflect.Name) string {
	names := map[protoreflect.Name]string{
		"call": "call", "bcallMessage": "broadcast call", "callLogMesssage": "call", "scheduledCallCreationMessage": "planned call",
		"scheduledCallEditMessage": "change of a planned call",
		"highlyStructuredMessage":  "message with buttons", "templateMessage": "message with buttons", "buttonsMessage": "message with buttons",
		"interactiveMessage": "message with buttons", "listMessage": "message with a list of choices",
		"templateButtonReplyMessage": "choice of a button", "buttonsResponseMessage": "choice of a button",
		"interactiveResponseMessage": "choice of a button", "listResponseMessage": "choice from a list",
		"sendPaymentMessage": "payment", "requestPaymentMessage": "request for a payment", "declinePaymentRequestMessage": "declined payment",
		"cancelPaymentRequestMessage": "cancelled request for a payment", "paymentInviteMessage": "invitation to payments",
		"paymentReminderMessage": "reminder of a payment", "splitPaymentMessage": "shared payment", "splitPaymentUpdateMessage": "shared payment",
		"invoiceMessage": "invoice", "orderMessage": "order", "productMessage": "product",
		"eventMessage": "event", "eventInviteMessage": "invitation to an event", "encEventResponseMessage": "answer to an event",
		"pinInChatMessage": "pinned message", "pollResultSnapshotMessage": "result of a poll", "pollResultSnapshotMessageV3": "result of a poll",
		"pollAddOptionMessage": "new option of a poll", "stickerPackMessage": "sticker pack", "musicMessage": "piece of music",
		"newsletterAdminInviteMessage": "invitation to run a channel", "newsletterFollowerInviteMessageV2": "invitation to a channel",
		"newsletterAdminProfileMessage": "post of a channel's administrator", "newsletterAdminProfileStatusMessage": "post of a channel's administrator", "requestPhoneNumberMessage": "request for your phone number",
		"statusMentionMessage": "mention in a status post", "groupStatusMentionMessage": "mention in a status post",
		"groupStatusMessage": "status post of a group", "groupStatusMessageV2": "status post of a group", "statusAddYours": "status post",
		"statusQuotedMessage": "answer to a status post", "statusQuestionAnswerMessage": "answer to a status post",
		"statusStickerInteractionMessage": "reaction to a status post", "questionResponseMessage": "answer to a question",
		"richResponseMessage": "answer of an assistant", "botTaskMessage": "task of an assistant",
		"conditionalRevealMessage": "message that is revealed later",
	}
	if name := names[field]; name != "" {
		return name
	}
	return unknownKind
}

// readable is what can be read of content that cannot be shown.
func readable(m *waE2E.Message) string {
	template := m.GetTemplateMessage().GetHydratedTemplate()
	interactive := m.GetInteractiveMessage()
	event := m.GetEventMessage()
	return firstText(
		join(template.GetHydratedTitleText(), template.GetHydratedContentText(), template.GetHydratedFooterText()),
		join(m.GetButtonsMessage().GetText(), m.GetButtonsMessage().GetContentText(), m.GetButtonsMessage().GetFooterText()),
		join(m.GetListMessage().GetTitle(), m.GetListMessage().GetDescription(), m.GetListMessage().GetFooterText()),
		join(interactive.GetHeader().GetTitle(), interactive.GetBody().GetText(), interactive.GetFooter().GetText()),
		m.GetTemplateButtonReplyMessage().GetSelectedDisplayText(), m.GetButtonsResponseMessage().GetSelectedDisplayText(),
		m.GetListResponseMessage().GetTitle(), m.GetInteractiveResponseMessage().GetBody().GetText(),
		join(event.GetName(), event.GetDescription()), m.GetEventInviteMessage().GetCaption(),
		join(m.GetProductMessage().GetProduct().GetTitle(), m.GetProductMessage().GetBody()),
		join(m.GetOrderMessage().GetOrderTitle(), m.GetOrderMessage().GetMessage()), m.GetInvoiceMessage().GetNote(),
		m.GetSendPaymentMessage().GetNoteMessage().GetExtendedTextMessage().GetText(), m.GetStickerPackMessage().GetName(),
		m.GetScheduledCallCreationMessage().GetTitle(), m.GetPollResultSnapshotMessage().GetName(),
		m.GetNewsletterAdminInviteMessage().GetNewsletterName(), m.GetNewsletterFollowerInviteMessageV2().GetNewsletterName(),
	)
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func join(parts ...string) string {
	var lines []string
	for _, part := range parts {
		if part != "" {
			lines = append(lines, part)
		}
	}
	return strings.Join(lines, "\n")
}
