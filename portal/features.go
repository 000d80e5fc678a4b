package portal

import (
	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// MaxTextLength is how many bytes a text may have, and so never more characters; phones cut the rest off (docs/protocol.md#subset).
const MaxTextLength = 65536

// featuresID changes with every change of [Features], so that rooms are told again.
const featuresID = "causeway.interop.2026.3"

// Abilities is what the third-party chats of a network carry beyond what all of them do. What is false arrives in
// another form, or as words in the room.
type Abilities struct {
	// Edits, Removals and Stickers arrive as what they are.
	Edits, Removals, Stickers bool
	// Reactions are known to everybody, and not only to those who have sent one.
	Reactions bool
	// Quotes: messages of every kind can say what they reply to. Captions: those of documents stand with their file.
	Quotes, Captions bool
	// PreviewPictures: the preview of a link has a picture.
	PreviewPictures bool
}

// AbilitiesOf is what a network's third-party chats carry (docs/protocol.md#subset, docs/protocol.md#messenger).
func AbilitiesOf(n network.Network) Abilities {
	if n == network.Messenger {
		return Abilities{Edits: true, Removals: true, Stickers: true, Reactions: true, Quotes: true}
	}
	return Abilities{Captions: true, PreviewPictures: true}
}

// Features is what a third-party chat can carry, as clients are told. Partial support is what arrives in another form:
// converted, or as text. Votes are known to one side only and therefore no feature.
func Features(can Abilities, reactions bool) *event.RoomFeatures {
	features := &event.RoomFeatures{
		ID: featuresID,
		Formatting: event.FormattingFeatureMap{
			event.FmtBold:          event.CapLevelFullySupported,
			event.FmtItalic:        event.CapLevelFullySupported,
			event.FmtStrikethrough: event.CapLevelFullySupported,
			event.FmtInlineCode:    event.CapLevelFullySupported,
			event.FmtCodeBlock:     event.CapLevelFullySupported,
			event.FmtBlockquote:    event.CapLevelFullySupported,
			event.FmtUnorderedList: event.CapLevelFullySupported,
			event.FmtOrderedList:   event.CapLevelFullySupported,
			event.FmtInlineLink:    event.CapLevelPartialSupport,
			event.FmtHeaders:       event.CapLevelPartialSupport,
		},
		File:                fileFeatures(can),
		MaxTextLength:       MaxTextLength,
		LocationMessage:     event.CapLevelPartialSupport,
		Poll:                event.CapLevelPartialSupport,
		PollMaxOptions:      maxOptions,
		Reply:               event.CapLevelFullySupported,
		Edit:                event.CapLevelPartialSupport,
		DeleteForMe:         true,
		ReadReceipts:        true,
		TypingNotifications: true,
		MessageRequest: &event.MessageRequestFeatures{
			AcceptWithMessage: event.CapLevelPartialSupport,
			AcceptWithButton:  event.CapLevelFullySupported,
		},
	}
	if can.Edits {
		features.ID += ".edit"
		features.Edit = event.CapLevelFullySupported
	}
	if can.Removals {
		features.ID += ".delete"
		features.Delete, features.DeleteForMe = event.CapLevelFullySupported, false
	}
	if can.Stickers {
		features.ID += ".sticker"
	}
	if reactions {
		features.ID += ".reactions"
		features.Reaction = event.CapLevelFullySupported
		features.ReactionCount = 1
	}
	return features
}

// fileFeatures names for each kind of file the types that pass as they are; others are converted, or become documents.
func fileFeatures(can Abilities) event.FileFeatureMap {
	files := make(event.FileFeatureMap)
	var stickers []string
	if can.Stickers {
		stickers = stickerTypes()
	}
	for kind, pass := range map[event.MessageType][]string{
		event.MsgImage:      {"image/jpeg", "image/png"},
		event.CapMsgGIF:     {"video/mp4"},
		event.CapMsgSticker: stickers,
		event.MsgVideo:      {"video/mp4", "video/3gpp"},
		event.MsgAudio:      {"audio/aac", "audio/mp4", "audio/amr", "audio/mpeg"},
		event.CapMsgVoice:   {"audio/ogg; codecs=opus"},
		event.MsgFile:       {"*/*"},
	} {
		feature := &event.FileFeatures{
			MimeTypes:        map[string]event.CapabilitySupportLevel{"*/*": event.CapLevelPartialSupport},
			Caption:          event.CapLevelFullySupported,
			MaxCaptionLength: MaxTextLength,
			MaxSize:          MaxFile,
		}
		for _, mime := range pass {
			feature.MimeTypes[mime] = event.CapLevelFullySupported
		}
		switch {
		case kind == event.MsgAudio, kind == event.CapMsgVoice, kind == event.MsgFile && !can.Captions:
			feature.Caption = event.CapLevelPartialSupport // as a text of its own
		case kind == event.CapMsgSticker:
			feature.Caption, feature.MaxCaptionLength = event.CapLevelDropped, 0 // its text describes it
		}
		files[kind] = feature
	}
	return files
}
