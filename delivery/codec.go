package delivery

import (
	"encoding/json"
	"fmt"
	"time"

	"causeway/network"
)

// The journal's own spelling of events, kept apart from the types of package network so that old
// rows stay readable when those change. Fields may be added, never renamed.
type (
	storedEvent struct {
		Message  *storedMessage `json:"message,omitempty"`
		Identity string         `json:"identity,omitempty"`
		Receipt  *storedReceipt `json:"receipt,omitempty"`
	}
	storedMessage struct {
		ID      string          `json:"id"`
		Time    int64           `json:"time,omitempty"`
		Type    string          `json:"type"`
		Content json.RawMessage `json:"content"`
		ReplyTo string          `json:"reply_to,omitempty"`
		Alias   string          `json:"alias,omitempty"`
		Name    string          `json:"name,omitempty"`
	}
	storedReceipt struct {
		Kind         string   `json:"kind"`
		Conversation string   `json:"conversation"`
		Reader       string   `json:"reader"`
		IDs          []string `json:"ids"`
		Time         int64    `json:"time"`
	}
)

// The types of content in the journal.
const (
	contentText          = "text"
	contentUnsupported   = "unsupported"
	contentUndecryptable = "undecryptable"
	contentMedia         = "media"
	contentReaction      = "reaction"
)

// encodeEvent spells an event for the journal. An event that it does not know is an error: better
// one that the network sends again than one that is lost.
func encodeEvent(event network.Event) ([]byte, error) {
	var stored storedEvent
	switch e := event.(type) {
	case network.MessageEvent:
		message, err := storeMessage(e.Message)
		if err != nil {
			return nil, err
		}
		message.Alias, message.Name = e.SenderAlias.String(), e.SenderName
		stored.Message = message
	case network.IdentityEvent:
		stored.Identity = e.Person.String()
	case network.ReceiptEvent:
		stored.Receipt = &storedReceipt{
			Kind: string(e.Kind), Conversation: e.Conversation.String(), Reader: e.Reader.String(), IDs: e.IDs, Time: millis(e.Time),
		}
	default:
		return nil, fmt.Errorf("the journal has no spelling for %T", event)
	}
	return json.Marshal(stored)
}

// decodeEvent is the inverse of encodeEvent.
func decodeEvent(data []byte) (network.Event, error) {
	var stored storedEvent
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, fmt.Errorf("failed to read a journal row: %w", err)
	}
	switch {
	case stored.Message != nil:
		return stored.Message.event()
	case stored.Identity != "":
		person, err := network.ParseAddress(stored.Identity)
		return network.IdentityEvent{Person: person}, err
	case stored.Receipt != nil:
		return stored.Receipt.event()
	}
	return nil, fmt.Errorf("failed to read a journal row: it holds no known event")
}

func (s *storedMessage) event() (network.Event, error) {
	message, err := s.message()
	if err != nil {
		return nil, err
	}
	alias, err := parseOptional(s.Alias)
	return network.MessageEvent{Message: message, SenderAlias: alias, SenderName: s.Name}, err
}

func (s *storedReceipt) event() (network.Event, error) {
	conversation, err := network.ParseAddress(s.Conversation)
	if err != nil {
		return nil, err
	}
	reader, err := network.ParseAddress(s.Reader)
	return network.ReceiptEvent{
		Kind: network.ReceiptKind(s.Kind), Conversation: conversation, Reader: reader, IDs: s.IDs, Time: fromMillis(s.Time),
	}, err
}

func encodeMessage(message network.Message) ([]byte, error) {
	stored, err := storeMessage(message)
	if err != nil {
		return nil, err
	}
	return json.Marshal(stored)
}

func decodeMessage(data []byte) (network.Message, error) {
	var stored storedMessage
	if err := json.Unmarshal(data, &stored); err != nil {
		return network.Message{}, fmt.Errorf("failed to read a journal row: %w", err)
	}
	return stored.message()
}

func storeMessage(message network.Message) (*storedMessage, error) {
	kind, err := contentType(message.Content)
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(message.Content)
	if err != nil {
		return nil, fmt.Errorf("failed to spell content: %w", err)
	}
	stored := &storedMessage{ID: message.ID.String(), Time: millis(message.Time), Type: kind, Content: content}
	if message.ReplyTo != nil {
		stored.ReplyTo = message.ReplyTo.String()
	}
	return stored, nil
}

// contentType names content. A file without a reference could not be opened again, so it is refused.
func contentType(content network.Content) (string, error) {
	switch content := content.(type) {
	case network.Media:
		if len(content.Reference) == 0 {
			return "", fmt.Errorf("%w: a file that cannot be opened again", network.ErrUnsupported)
		}
		return contentMedia, nil
	case network.Reaction:
		return contentReaction, nil
	case network.Text:
		return contentText, nil
	case network.Unsupported:
		return contentUnsupported, nil
	case network.Undecryptable:
		return contentUndecryptable, nil
	default:
		return "", fmt.Errorf("the journal has no spelling for %T", content)
	}
}

func (s *storedMessage) message() (network.Message, error) {
	id, err := network.ParseMessageID(s.ID)
	if err != nil {
		return network.Message{}, err
	}
	message := network.Message{ID: id, Time: fromMillis(s.Time)}
	if s.ReplyTo != "" {
		target, err := network.ParseMessageID(s.ReplyTo)
		if err != nil {
			return network.Message{}, err
		}
		message.ReplyTo = &target
	}
	message.Content, err = parseContent(s.Type, s.Content)
	return message, err
}

func parseContent(kind string, data []byte) (network.Content, error) {
	switch kind {
	case contentText:
		return parseAs[network.Text](data)
	case contentUnsupported:
		return parseAs[network.Unsupported](data)
	case contentMedia:
		content, err := parseAs[network.Media](data)
		if err == nil {
			_, err = contentType(content)
		}
		return content, err
	case contentReaction:
		return parseAs[network.Reaction](data)
	case contentUndecryptable:
		return parseAs[network.Undecryptable](data)
	default:
		return nil, fmt.Errorf("failed to read a journal row: unknown content %q", kind)
	}
}

func parseAs[T network.Content](data []byte) (network.Content, error) {
	var content T
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("failed to read a journal row: %w", err)
	}
	return content, nil
}

func parseOptional(text string) (network.Address, error) {
	if text == "" {
		return network.Address{}, nil
	}
	return network.ParseAddress(text)
}

// millis is a time in Unix milliseconds, zero for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
