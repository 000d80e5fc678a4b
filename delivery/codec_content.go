package delivery

import (
	"encoding/json"
	"fmt"

	"causeway/network"
)

// The types of content in the journal.
const (
	contentText          = "text"
	contentUnsupported   = "unsupported"
	contentUndecryptable = "undecryptable"
	contentMedia         = "media"
	contentReaction      = "reaction"
	contentEdit          = "edit"
	contentRemove        = "remove"
	contentAlbum         = "album"
	contentLocation      = "location"
	contentContacts      = "contacts"
	contentPoll          = "poll"
	contentVote          = "vote"
	contentGroupInvite   = "group_invite"
)

// The types of events that are spelled by their fields.
const (
	eventGroup   = "group"
	eventPerson  = "person"
	eventChat    = "chat"
	eventCall    = "call"
	eventPhone   = "phone"
	eventOmitted = "omitted"
	eventHistory = "history"
)

// plainEventType names an event that is spelled by its fields, empty for all others.
func plainEventType(event network.Event) string {
	switch event.(type) {
	case network.GroupEvent:
		return eventGroup
	case network.PersonEvent:
		return eventPerson
	case network.ChatEvent:
		return eventChat
	case network.CallEvent:
		return eventCall
	case network.PhoneEvent:
		return eventPhone
	case network.OmittedEvent:
		return eventOmitted
	case network.HistoryEvent:
		return eventHistory
	}
	return ""
}

func parsePlainEvent(kind string, data []byte) (network.Event, error) {
	switch kind {
	case eventGroup:
		return parseAs[network.Event, network.GroupEvent](data)
	case eventPerson:
		return parseAs[network.Event, network.PersonEvent](data)
	case eventChat:
		return parseAs[network.Event, network.ChatEvent](data)
	case eventCall:
		return parseAs[network.Event, network.CallEvent](data)
	case eventPhone:
		return parseAs[network.Event, network.PhoneEvent](data)
	case eventOmitted:
		return parseAs[network.Event, network.OmittedEvent](data)
	case eventHistory:
		return parseAs[network.Event, network.HistoryEvent](data)
	}
	return nil, fmt.Errorf("failed to read a journal row: unknown event %q", kind)
}

// spellContent names content and writes it down.
func spellContent(content network.Content) (kind string, data json.RawMessage, err error) {
	if edit, ok := content.(network.Edit); ok {
		data, err = spellEdit(edit)
		return contentEdit, data, err
	}
	if kind, err = contentType(content); err != nil {
		return "", nil, err
	}
	if data, err = json.Marshal(content); err != nil {
		return "", nil, fmt.Errorf("failed to spell content: %w", err)
	}
	return kind, data, nil
}

// spellEdit writes an edit down. Its content may be a file's caption alone, which needs no reference.
func spellEdit(edit network.Edit) (json.RawMessage, error) {
	stored := storedEdit{Target: edit.Target, Sent: millis(edit.Sent)}
	var err error
	switch content := edit.Content.(type) {
	case network.Edit:
		return nil, fmt.Errorf("the journal has no spelling for the edit of an edit")
	case network.Media:
		stored.Type = contentMedia
		stored.Content, err = json.Marshal(content)
	default:
		stored.Type, stored.Content, err = spellContent(edit.Content)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(stored)
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
	case network.Remove:
		return contentRemove, nil
	case network.Album:
		return contentAlbum, nil
	case network.Location:
		return contentLocation, nil
	case network.Contacts:
		return contentContacts, nil
	case network.Poll:
		return contentPoll, nil
	case network.Vote:
		return contentVote, nil
	case network.GroupInvite:
		return contentGroupInvite, nil
	default:
		return "", fmt.Errorf("the journal has no spelling for %T", content)
	}
}

func parseContent(kind string, data []byte) (network.Content, error) {
	switch kind {
	case contentText:
		return parseAs[network.Content, network.Text](data)
	case contentUnsupported:
		return parseAs[network.Content, network.Unsupported](data)
	case contentMedia:
		content, err := parseAs[network.Content, network.Media](data)
		if err == nil {
			_, err = contentType(content)
		}
		return content, err
	case contentReaction:
		return parseAs[network.Content, network.Reaction](data)
	case contentUndecryptable:
		return parseAs[network.Content, network.Undecryptable](data)
	case contentEdit:
		return parseEdit(data)
	case contentRemove:
		return parseAs[network.Content, network.Remove](data)
	case contentAlbum:
		return parseAs[network.Content, network.Album](data)
	case contentLocation:
		return parseAs[network.Content, network.Location](data)
	case contentContacts:
		return parseAs[network.Content, network.Contacts](data)
	case contentPoll:
		return parseAs[network.Content, network.Poll](data)
	case contentVote:
		return parseAs[network.Content, network.Vote](data)
	case contentGroupInvite:
		return parseAs[network.Content, network.GroupInvite](data)
	default:
		return nil, fmt.Errorf("failed to read a journal row: unknown content %q", kind)
	}
}

func parseEdit(data []byte) (network.Content, error) {
	var stored storedEdit
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, fmt.Errorf("failed to read a journal row: %w", err)
	}
	edit := network.Edit{Target: stored.Target, Sent: fromMillis(stored.Sent)}
	var err error
	switch stored.Type {
	case contentEdit:
		return nil, fmt.Errorf("failed to read a journal row: the edit of an edit")
	case contentMedia:
		edit.Content, err = parseAs[network.Content, network.Media](stored.Content)
	default:
		edit.Content, err = parseContent(stored.Type, stored.Content)
	}
	if err != nil {
		return nil, err
	}
	return edit, nil
}

// parseAs reads a T as the interface I that it implements.
func parseAs[I, T any](data []byte) (I, error) {
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		var none I
		return none, fmt.Errorf("failed to read a journal row: %w", err)
	}
	return any(value).(I), nil
}
