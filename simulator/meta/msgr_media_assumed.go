package meta

import (
	"fmt"
	"maps"
	"slices"
)

// This file is what Messenger's messages say of files, in one more envelope for each
// kind (docs/protocol.md#messenger). Phones read it into the names of WhatsApp's schema. assumed: U18

const msgrFileVersion = 1 // assumed: U18

// msgrFile is how a kind of file stands in a message: the member's envelope, and what is beside the file.
type msgrFile struct {
	sub      string
	beside   []string
	envelope *schema
}

// msgrFiles are the kinds by the name of their member. assumed: U18
func msgrFiles() map[string]msgrFile {
	envelope := func(name string, ancillary fields) *schema {
		transport := &schema{"WAMediaTransport", fields{
			1: nested("integral", &schema{"Integral", fields{
				1: hash("fileSha256"), 2: hash("mediaKey"), 3: hash("fileEncSha256"), 4: text("directPath"), 5: varint("mediaKeyTimestamp")}}),
			2: nested("ancillary", &schema{"Ancillary", fields{
				1: varint("fileLength"), 2: text("mimetype"), 3: nested("thumbnail", &schema{"Thumbnail", fields{1: blob("jpegThumbnail")}})}}),
		}}
		s := &schema{name, fields{1: nested("integral", &schema{"Integral", fields{1: nested("transport", transport)}})}}
		if ancillary != nil {
			s.fields[2] = nested("ancillary", &schema{"Ancillary", ancillary})
		}
		return s
	}
	sticker := envelope("StickerTransport", fields{2: varint("height"), 3: varint("width")})
	sticker.fields[1].inner.fields[2] = varint("isAnimated")
	return map[string]msgrFile{
		"imageMessage":   {"image", nil, envelope("ImageTransport", fields{1: varint("height"), 2: varint("width")})},
		"stickerMessage": {"sticker", nil, sticker},
		"videoMessage": {"video", nil, envelope("VideoTransport", fields{
			1: varint("seconds"), 3: varint("gifPlayback"), 4: varint("height"), 5: varint("width")})},
		"audioMessage":    {"audio", []string{"PTT"}, envelope("AudioTransport", fields{1: varint("seconds"), 4: blob("waveform")})},
		"documentMessage": {"document", []string{"fileName"}, envelope("DocumentTransport", nil)},
	}
}

// openFileMessage reads what a message says of its file, by the names of WhatsApp's schema; nil if it has none. assumed: U18
func (m msgrMessage) openFileMessage() (value, error) {
	form, isFile := msgrFiles()[m.kind]
	if !isFile {
		return nil, nil
	}
	raw, err := unwrap(m.content.message(form.sub), msgrFileVersion)
	if err != nil {
		return nil, err
	}
	envelope, err := form.envelope.decode(raw)
	if err != nil {
		return nil, err
	}
	transport := envelope.message("integral").message("transport")
	flat := value{}
	for _, part := range []value{transport.message("integral"), transport.message("ancillary"),
		transport.message("ancillary").message("thumbnail"), envelope.message("ancillary")} {
		maps.Copy(flat, part)
	}
	if caption := m.content.message("caption").text("text"); caption != "" {
		flat["caption"] = caption
	}
	if name := m.content.text("fileName"); name != "" {
		flat["fileName"] = name
	}
	if ptt, set := m.content["PTT"]; set {
		flat["ptt"] = ptt
	}
	return flat, checkContent(m.kind, value{m.kind: flat})
}

// msgrMedia writes a message about a file that is described by the names of WhatsApp's schema. assumed: U18
func msgrMedia(kind string, flat value, reply *Heard) ([]byte, error) {
	form, known := msgrFiles()[kind]
	if !known {
		return nil, fmt.Errorf("%s is not of Messenger: %w", kind, errMedia)
	}
	ancillary := maps.Clone(flat)
	ancillary["thumbnail"] = value{"jpegThumbnail": flat["jpegThumbnail"]}
	raw := form.envelope.encode(value{"ancillary": flat, "integral": value{"transport": value{"integral": flat, "ancillary": ancillary}}})
	said := value{form.sub: value{"payload": raw, "version": uint64(msgrFileVersion)}}
	if caption := flat.text("caption"); caption != "" && !slices.Contains(form.beside, "fileName") {
		said["caption"] = value{"text": caption}
	}
	for _, name := range form.beside {
		said[name] = flat[map[string]string{"PTT": "ptt", "fileName": "fileName"}[name]]
	}
	var quote value
	if reply != nil {
		quote = value{"stanzaID": reply.ID, "participant": reply.From}
	}
	return encodeMessenger(value{kind: said}, quote), nil
}
