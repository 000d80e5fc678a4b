package messenger

import (
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waConsumerApplication"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// This file holds the innermost part of Messenger's messages: what a person said, or what
// becomes of something said before (docs/protocol.md#messenger). Files are in media_assumed.go.

type (
	// consumerPayload is either of the two.
	consumerPayload = waConsumerApplication.ConsumerApplication_Payload
	// consumerContent is what a person said.
	consumerContent = waConsumerApplication.ConsumerApplication_Content
)

// encodeContent writes the innermost part. // assumed: U18
func encodeContent(message network.Message, file wire.SealedMedia) (*consumerPayload, error) {
	content := &consumerContent{}
	var err error
	switch said := message.Content.(type) {
	case network.Text:
		if err = wire.CheckText(said.Body); err == nil {
			encodeText(content, said)
		}
	case network.Media:
		err = encodeMedia(content, said, file)
	case network.Reaction:
		err = encodeReaction(content, said)
	case network.Edit:
		err = encodeEdit(content, said, message.ID)
	case network.Remove:
		return encodeRemoval(said, message.ID)
	default:
		err = fmt.Errorf("%w: content of type %T", network.ErrUnsupported, message.Content)
	}
	return &consumerPayload{Payload: &waConsumerApplication.ConsumerApplication_Payload_Content{Content: content}}, err
}

// encodeText writes plain text as such; only a link's preview needs the extended form.
func encodeText(content *consumerContent, text network.Text) {
	body := &waCommon.MessageText{Text: proto.String(text.Body)}
	preview := text.Preview
	if preview == nil {
		content.Content = &waConsumerApplication.ConsumerApplication_Content_MessageText{MessageText: body}
		return
	}
	content.Content = &waConsumerApplication.ConsumerApplication_Content_ExtendedTextMessage{
		ExtendedTextMessage: &waConsumerApplication.ConsumerApplication_ExtendedTextMessage{
			Text: body, MatchedText: proto.String(preview.Matched), CanonicalURL: proto.String(preview.URL),
			Title: proto.String(preview.Title), Description: proto.String(preview.Description),
		},
	}
}

func encodeReaction(content *consumerContent, reaction network.Reaction) error {
	key, err := wire.MessageKey(reaction.Target)
	if err != nil {
		return fmt.Errorf("%w: the message that is reacted to: %w", network.ErrUnsupported, err)
	}
	content.Content = &waConsumerApplication.ConsumerApplication_Content_ReactionMessage{
		ReactionMessage: &waConsumerApplication.ConsumerApplication_ReactionMessage{
			Key: key, Text: proto.String(reaction.Emoji), SenderTimestampMS: proto.Int64(time.Now().UnixMilli()),
		},
	}
	return nil
}

// encodeEdit writes new text for a text of ours; files and their captions stay as they are. // assumed: U18
func encodeEdit(content *consumerContent, edit network.Edit, about network.MessageID) error {
	key, err := wire.OwnMessageKey(edit.Target, about)
	if err != nil {
		return err
	}
	text, ok := edit.Content.(network.Text)
	if !ok {
		return fmt.Errorf("%w: an edit of content of type %T", network.ErrUnsupported, edit.Content)
	}
	content.Content = &waConsumerApplication.ConsumerApplication_Content_EditMessage{
		EditMessage: &waConsumerApplication.ConsumerApplication_EditMessage{
			Key: key, Message: &waCommon.MessageText{Text: proto.String(text.Body)}, TimestampMS: proto.Int64(time.Now().UnixMilli()),
		},
	}
	return wire.CheckText(text.Body)
}

// encodeRemoval takes a message of ours back. It is no content, and stands where content would. // assumed: U18
func encodeRemoval(removal network.Remove, about network.MessageID) (*consumerPayload, error) {
	key, err := wire.OwnMessageKey(removal.Target, about)
	return &consumerPayload{Payload: &waConsumerApplication.ConsumerApplication_Payload_ApplicationData{
		ApplicationData: &waConsumerApplication.ConsumerApplication_ApplicationData{
			ApplicationContent: &waConsumerApplication.ConsumerApplication_ApplicationData_Revoke{
				Revoke: &waConsumerApplication.ConsumerApplication_RevokeMessage{Key: key},
			},
		},
	}}, err
}

// decodePayload reads the innermost part. // assumed: U18
func decodePayload(payload *consumerPayload, self, peer network.Address) (network.Content, error) {
	if revoke := payload.GetApplicationData().GetRevoke(); revoke != nil {
		target, err := wire.KeyedOwnMessage(revoke.GetKey(), self, peer)
		return network.Remove{Target: target}, err
	}
	switch said := payload.GetContent().GetContent().(type) {
	case *waConsumerApplication.ConsumerApplication_Content_MessageText:
		return network.Text{Body: wire.Clean(said.MessageText.GetText())}, nil
	case *waConsumerApplication.ConsumerApplication_Content_ExtendedTextMessage:
		return decodeText(said.ExtendedTextMessage), nil
	case *waConsumerApplication.ConsumerApplication_Content_ReactionMessage:
		target, err := wire.KeyedMessage(said.ReactionMessage.GetKey(), self, peer)
		return network.Reaction{Target: target, Emoji: wire.Clean(said.ReactionMessage.GetText())}, err
	case *waConsumerApplication.ConsumerApplication_Content_EditMessage:
		return decodeEdit(said.EditMessage, self, peer)
	}
	return decodeMedia(payload.GetContent())
}

func decodeEdit(said *waConsumerApplication.ConsumerApplication_EditMessage, self, peer network.Address) (network.Content, error) {
	target, err := wire.KeyedOwnMessage(said.GetKey(), self, peer)
	body := wire.Clean(said.GetMessage().GetText())
	if err == nil && body == "" {
		err = fmt.Errorf("%w: an edit without text", wire.ErrContent)
	}
	return network.Edit{Target: target, Content: network.Text{Body: body}}, err
}

func decodeText(extended *waConsumerApplication.ConsumerApplication_ExtendedTextMessage) network.Text {
	text := network.Text{Body: wire.Clean(extended.GetText().GetText())}
	if extended.CanonicalURL != nil || extended.MatchedText != nil {
		text.Preview = &network.LinkPreview{
			URL: wire.Clean(extended.GetCanonicalURL()), Matched: wire.Clean(extended.GetMatchedText()),
			Title: wire.Clean(extended.GetTitle()), Description: wire.Clean(extended.GetDescription()),
		}
	}
	return text
}
