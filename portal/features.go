package portal

import "maunium.net/go/mautrix/event"

// MaxTextLength is how many characters a message may have; phones cut the rest off (docs/protocol.md#plaintext).
const MaxTextLength = 65536

// featuresID changes with every change of [Features], so that rooms are told again.
const featuresID = "causeway.interop.2026.1"

// Features is what a third-party chat can carry. Media and locations are listed
// as unsupported rather than left out, as bridgev2 would otherwise refuse them in
// words of its own before the bridge can say what to do instead.
func Features() *event.RoomFeatures {
	unsupported := event.FileFeatures{
		MimeTypes: map[string]event.CapabilitySupportLevel{"*/*": event.CapLevelUnsupported},
		Caption:   event.CapLevelUnsupported,
	}
	files := make(event.FileFeatureMap)
	for _, kind := range []event.MessageType{
		event.MsgImage, event.MsgVideo, event.MsgAudio, event.MsgFile,
		event.CapMsgVoice, event.CapMsgGIF, event.CapMsgSticker,
	} {
		files[kind] = &unsupported
	}
	return &event.RoomFeatures{
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
		},
		File:                files,
		MaxTextLength:       MaxTextLength,
		Reply:               event.CapLevelFullySupported,
		ReadReceipts:        true,
		TypingNotifications: true,
	}
}
