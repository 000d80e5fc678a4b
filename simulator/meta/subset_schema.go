package meta

import "google.golang.org/protobuf/encoding/protowire"

// Shorthands for the tables below.
func text(name string) field    { return field{name: name, kind: kindText} }
func blob(name string) field    { return field{name: name, kind: kindBytes} }
func hash(name string) field    { return field{name: name, kind: kindHash} }
func varint(name string) field  { return field{name: name, kind: kindVarint} }
func fixed32(name string) field { return field{name: name, kind: kindFixed32} }

func nested(name string, inner *schema) field {
	return field{name: name, kind: kindMessage, inner: inner}
}

type fields = map[protowire.Number]field

// interopMessage is the table of a whole message (docs/protocol.md#subset).
func interopMessage() *schema {
	message := &schema{name: "InteropMessage"}
	context := &schema{"Context", fields{1: text("stanzaId"), 2: text("participant"), 3: nested("quotedMessage", message)}}
	video := videoMessage()
	message.fields = fields{
		1: text("conversation"),
		2: nested("senderKeyDistributionMessage", &schema{"SenderKeyDistribution", fields{
			1: text("groupID"), 2: blob("axolotlSenderKeyDistributionMessage")}}),
		3: nested("imageMessage", imageMessage(context)),
		6: nested("extendedTextMessage", &schema{"ExtendedText", fields{
			1: text("text"), 2: text("matchedText"), 4: text("canonicalUrl"), 5: text("description"), 6: text("title"),
			7: fixed32("textArgb"), 8: fixed32("backgroundArgb"), 10: varint("previewType"), 16: blob("jpegThumbnail"),
			17: nested("contextInfo", context)}}),
		7: nested("documentMessage", documentMessage()),
		8: nested("audioMessage", audioMessage()),
		9: nested("videoMessage", video),
		46: nested("reactionMessage", &schema{"Reaction", fields{
			1: nested("key", &schema{"Key", fields{1: text("remoteJID"), 2: varint("fromMe"), 3: text("ID"), 4: text("participant")}}),
			2: text("text"), 3: text("groupingKey"), 4: varint("senderTimestampMs")}}),
		66: nested("ptvMessage", video),
	}
	return message
}

func imageMessage(context *schema) *schema {
	return &schema{"Image", fields{
		2: text("mimetype"), 3: text("caption"), 4: hash("fileSha256"), 5: varint("fileLength"), 6: varint("height"), 7: varint("width"),
		8: hash("mediaKey"), 9: hash("fileEncSha256"), 11: text("directPath"), 12: varint("mediaKeyTimestamp"), 16: blob("jpegThumbnail"),
		17: nested("contextInfo", context), 20: varint("experimentGroupId"), 21: blob("scansSidecar"), 22: varint("scanLengths"),
		23: blob("midQualityFileSha256"), 24: blob("midQualityFileEncSha256"), 26: text("thumbnailDirectPath"),
		27: hash("thumbnailSha256"), 28: hash("thumbnailEncSha256")}}
}

func videoMessage() *schema {
	return &schema{"Video", fields{
		2: text("mimetype"), 3: hash("fileSha256"), 4: varint("fileLength"), 5: varint("seconds"), 6: hash("mediaKey"), 7: text("caption"),
		8: varint("gifPlayback"), 9: varint("height"), 10: varint("width"), 11: hash("fileEncSha256"), 13: text("directPath"),
		14: varint("mediaKeyTimestamp"), 16: blob("jpegThumbnail"), 18: blob("streamingSidecar"), 19: varint("gifAttribution"),
		21: text("thumbnailDirectPath"), 22: hash("thumbnailSha256"), 23: hash("thumbnailEncSha256")}}
}

func audioMessage() *schema {
	return &schema{"Audio", fields{
		2: text("mimetype"), 3: hash("fileSha256"), 4: varint("fileLength"), 5: varint("seconds"), 6: varint("ptt"), 7: hash("mediaKey"),
		8: hash("fileEncSha256"), 9: text("directPath"), 10: varint("mediaKeyTimestamp"), 18: blob("streamingSidecar"),
		19: blob("waveform"), 20: fixed32("backgroundArgb")}}
}

func documentMessage() *schema {
	return &schema{"Document", fields{
		2: text("mimetype"), 3: text("title"), 4: hash("fileSha256"), 5: varint("fileLength"), 6: varint("pageCount"), 7: hash("mediaKey"),
		8: text("fileName"), 9: hash("fileEncSha256"), 10: text("directPath"), 11: varint("mediaKeyTimestamp"), 12: varint("contactVcard"),
		13: text("thumbnailDirectPath"), 14: hash("thumbnailSha256"), 15: hash("thumbnailEncSha256"), 16: blob("jpegThumbnail"),
		18: varint("thumbnailHeight"), 19: varint("thumbnailWidth"), 20: text("caption")}}
}
