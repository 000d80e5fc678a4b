package portal

import (
	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// maxSticker is how many bytes a sticker may have.
const maxSticker = 1 << 20

// LinkedFile is [FileFromMatrix] for a user's own account, which knows stickers as well.
func LinkedFile(content *event.MessageEventContent, found Found, can Abilities, converter bool) (File, error) {
	if content.MsgType != event.CapMsgSticker || found.Size == 0 {
		return FileFromMatrix(content, found, can, converter)
	}
	sticker := File{Plan: Pass, Media: network.Media{
		Kind: network.Sticker, MIME: "image/webp", Animated: found.Animated, Width: found.Width, Height: found.Height,
	}}
	switch found.MIME {
	case "image/webp":
		if found.Size <= maxSticker {
			return sticker, nil
		}
	case "image/png", "image/jpeg", "image/gif":
		if converter && !found.TooBig {
			sticker.Plan, sticker.Media.Width, sticker.Media.Height = ToSticker, 512, 512
			return sticker, nil
		}
	}
	can.Stickers = false // in this form it is none there
	return FileFromMatrix(content, found, can, converter)
}
