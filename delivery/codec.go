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
		// Type and Event are an event that is spelled by the fields of its type in package network.
		Type  string          `json:"type,omitempty"`
		Event json.RawMessage `json:"event,omitempty"`
	}
	storedMessage struct {
		ID      string          `json:"id"`
		Time    int64           `json:"time,omitempty"`
		Type    string          `json:"type"`
		Content json.RawMessage `json:"content"`
		ReplyTo string          `json:"reply_to,omitempty"`
		Alias   string          `json:"alias,omitempty"`
		Name    string          `json:"name,omitempty"`
		Proof   []byte          `json:"proof,omitzero"`

		Quote       string   `json:"quote,omitempty"`
		Mentions    []string `json:"mentions,omitzero"`
		MentionsAll bool     `json:"mentions_all,omitempty"`
		Forwarded   bool     `json:"forwarded,omitempty"`
		// Expires counts milliseconds.
		Expires int64 `json:"expires,omitempty"`
	}
	storedEdit struct {
		Target  network.MessageID `json:"target"`
		Sent    int64             `json:"sent,omitempty"`
		Type    string            `json:"type"`
		Content json.RawMessage   `json:"content"`
	}
	storedReceipt struct {
		Kind         string   `json:"kind"`
		Conversation string   `json:"conversation"`
		Reader       string   `json:"reader"`
		Sender       string   `json:"sender,omitempty"`
		IDs          []string `json:"ids"`
		Time         int64    `json:"time"`
	}
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
		message.Alias, message.Name, message.Proof = e.SenderAlias.String(), e.SenderName, e.Proof
		stored.Message = message
	case network.IdentityEvent:
		stored.Identity = e.Person.String()
	case network.ReceiptEvent:
		stored.Receipt = &storedReceipt{
			Kind: string(e.Kind), Conversation: e.Conversation.String(), Reader: e.Reader.String(), Sender: e.Sender.String(),
			IDs: e.IDs, Time: millis(e.Time),
		}
	default:
		if stored.Type = plainEventType(event); stored.Type == "" {
			return nil, fmt.Errorf("the journal has no spelling for %T", event)
		}
		var err error
		if stored.Event, err = json.Marshal(event); err != nil {
			return nil, fmt.Errorf("failed to spell an event: %w", err)
		}
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
	case stored.Type != "":
		return parsePlainEvent(stored.Type, stored.Event)
	}
	return nil, fmt.Errorf("failed to read a journal row: it holds no known event")
}

func (s *storedMessage) event() (network.Event, error) {
	message, err := s.message()
	if err != nil {
		return nil, err
	}
	alias, err := parseOptional(s.Alias)
	return network.MessageEvent{Message: message, SenderAlias: alias, SenderName: s.Name, Proof: s.Proof}, err
}

func (s *storedReceipt) event() (network.Event, error) {
	conversation, err := network.ParseAddress(s.Conversation)
	if err != nil {
		return nil, err
	}
	reader, err := network.ParseAddress(s.Reader)
	if err != nil {
		return nil, err
	}
	sender, err := parseOptional(s.Sender)
	return network.ReceiptEvent{
		Kind: network.ReceiptKind(s.Kind), Conversation: conversation, Reader: reader, Sender: sender, IDs: s.IDs, Time: fromMillis(s.Time),
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
	kind, content, err := spellContent(message.Content)
	if err != nil {
		return nil, err
	}
	stored := &storedMessage{
		ID: message.ID.String(), Time: millis(message.Time), Type: kind, Content: content,
		Quote: message.Quote, MentionsAll: message.MentionsAll, Forwarded: message.Forwarded, Expires: message.Expires.Milliseconds(),
	}
	for _, person := range message.Mentions {
		stored.Mentions = append(stored.Mentions, person.String())
	}
	if message.ReplyTo != nil {
		stored.ReplyTo = message.ReplyTo.String()
	}
	return stored, nil
}

func (s *storedMessage) message() (network.Message, error) {
	id, err := network.ParseMessageID(s.ID)
	if err != nil {
		return network.Message{}, err
	}
	message := network.Message{
		ID: id, Time: fromMillis(s.Time), Quote: s.Quote, MentionsAll: s.MentionsAll, Forwarded: s.Forwarded, Expires: time.Duration(s.Expires) * time.Millisecond,
	}
	for _, text := range s.Mentions {
		person, err := network.ParseAddress(text)
		if err != nil {
			return network.Message{}, err
		}
		message.Mentions = append(message.Mentions, person)
	}
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
