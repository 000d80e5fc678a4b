package whatsapp

import (
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"causeway/wire"
)

// subset is the closed schema of third-party chats: the fields of each message
// type that may occur, and no others, at any depth (docs/protocol.md#subset).
func subset() wire.Schema {
	schema := make(wire.Schema)
	schema.Allow(&waE2E.Message{}, 1, 2, 3, 6, 7, 8, 9, 46, 66)
	schema.Allow(&waE2E.SenderKeyDistributionMessage{}, 1, 2)
	schema.Allow(&waE2E.ImageMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 17, 20, 21, 22, 23, 24, 26, 27, 28)
	schema.Allow(&waE2E.VideoMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16, 18, 19, 21, 22, 23)
	schema.Allow(&waE2E.AudioMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 19, 20)
	schema.Allow(&waE2E.DocumentMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20)
	schema.Allow(&waE2E.ExtendedTextMessage{}, 1, 2, canonicalURL, 5, 6, 7, 8, 10, 16, 17)
	schema.Allow(&waE2E.ContextInfo{}, 1, 2, 3)
	schema.Allow(&waE2E.ReactionMessage{}, 1, 2, 3, 4)
	schema.Allow(&waCommon.MessageKey{}, 1, 2, 3, 4)
	return schema
}
