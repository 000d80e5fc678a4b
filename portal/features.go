package portal

import "maunium.net/go/mautrix/event"

// MaxTextLength is how many characters a message may have; phones cut the rest off (docs/protocol.md#subset).
const MaxTextLength = 65536

// featuresID changes with every change of [Features], so that rooms are told again.
const featuresID = "causeway.interop.2026.2"

// Features is what a third-party chat can carry. Partial support is what arrives in another form: converted, or as
// text. Votes and the deletion of what was sent are known to one side only and therefore no features.
func Features(reactions bool) *event.RoomFeatures {
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
		File:                fileFeatures(),
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
	if reactions {
		features.ID += ".reactions"
		features.Reaction = event.CapLevelFullySupported
		features.ReactionCount = 1
	}
	return features
}

// fileFeatures names for each kind of file the types that pass as they are; others are converted, or become documents.
func fileFeatures() event.FileFeatureMap {
	files := make(event.FileFeatureMap)
	for kind, pass := range map[event.MessageType][]string{
		event.MsgImage:      {"image/jpeg", "image/png"},
		event.CapMsgGIF:     {"video/mp4"},
		event.CapMsgSticker: {},
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
		if kind == event.MsgAudio || kind == event.CapMsgVoice {
			feature.Caption = event.CapLevelPartialSupport // as a text of its own
		}
		files[kind] = feature
	}
	return files
}
