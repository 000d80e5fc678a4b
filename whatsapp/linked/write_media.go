package linked

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// classOf is the class of a kind's files, empty for a kind that there is not.
func classOf(kind network.MediaKind) wire.MediaType {
	if kind == network.Sticker {
		return wire.MediaImage
	}
	return wire.ClassOf(kind)
}

// keysOf is by what keys the library encrypts a class.
func keysOf(class wire.MediaType) whatsmeow.MediaType {
	switch class {
	case wire.MediaImage:
		return whatsmeow.MediaImage
	case wire.MediaVideo:
		return whatsmeow.MediaVideo
	case wire.MediaAudio:
		return whatsmeow.MediaAudio
	}
	return whatsmeow.MediaDocument
}

// media uploads a file and spells the message about it.
func (w writer) media(ctx context.Context, media network.Media, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	class := classOf(media.Kind)
	switch {
	case class == "" || media.Open == nil:
		return nil, fmt.Errorf("%w: media of kind %q", network.ErrUnsupported, media.Kind)
	case media.Size > class.Limit():
		return nil, fmt.Errorf("%w: a file of %d bytes", network.ErrTooLarge, media.Size)
	case len(media.Caption) > wire.LongestText:
		return nil, fmt.Errorf("%w: a caption of %d bytes", network.ErrTooLarge, len(media.Caption))
	}
	file, err := w.link.upload(ctx, media, class)
	if err != nil {
		return nil, err
	}
	out := spellMedia(media, file, info)
	if media.Album != nil {
		parent, err := w.key(ctx, *media.Album)
		if err != nil {
			return nil, err
		}
		out.MessageContextInfo = &waE2E.MessageContextInfo{MessageAssociation: &waE2E.MessageAssociation{
			AssociationType: waE2E.MessageAssociation_MEDIA_ALBUM.Enum(), ParentMessageKey: parent,
		}}
	}
	return out, nil
}

// upload encrypts a file and gives it to the network. It passes as a stream; what is spooled on disk is ciphertext.
func (l *link) upload(ctx context.Context, media network.Media, class wire.MediaType) (file whatsmeow.UploadResponse, err error) {
	plain, err := media.Open(ctx)
	if err != nil {
		return file, fmt.Errorf("failed to open a file: %w", err)
	}
	defer plain.Close()
	spool, err := wire.NewSpool()
	if err != nil {
		return file, err
	}
	defer spool.Close()
	bounded := &boundedReader{from: plain, left: class.Limit()}
	file, err = l.lib.UploadReader(ctx, bounded, spool, keysOf(class))
	if err != nil {
		if known := failure(err); known != err || bounded.failed != nil { //nolint:errorlint // unchanged means unknown
			return file, fmt.Errorf("failed to upload a file: %w", known)
		}
		return file, fmt.Errorf("%w: failed to upload a file: %w", network.ErrTemporary, err)
	}
	return file, nil
}

// boundedReader fails when more comes than may.
type boundedReader struct {
	from   io.Reader
	left   int64
	failed error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.failed = fmt.Errorf("%w: a file over its limit", network.ErrTooLarge)
		return 0, b.failed
	}
	if err != nil && err != io.EOF { //nolint:errorlint // readers return it bare
		b.failed = err
	}
	return n, err
}

// spellMedia spells the message about a file that is uploaded.
func spellMedia(media network.Media, file whatsmeow.UploadResponse, info *waE2E.ContextInfo) *waE2E.Message {
	mime := proto.String(wire.CanonicalMIME(media.MIME))
	length, stamp := proto.Uint64(file.FileLength), proto.Int64(time.Now().Unix())
	switch media.Kind {
	case network.Image:
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
			Mimetype: mime, Caption: optional(media.Caption), Width: number(media.Width), Height: number(media.Height),
			URL: optional(file.URL), DirectPath: proto.String(file.DirectPath), MediaKey: file.MediaKey, MediaKeyTimestamp: stamp,
			FileSHA256: file.FileSHA256, FileEncSHA256: file.FileEncSHA256, FileLength: length,
			JPEGThumbnail: smallPicture(media.Thumbnail), ContextInfo: info,
		}}
	case network.Audio, network.Voice:
		audio := &waE2E.AudioMessage{
			Mimetype: mime, Seconds: seconds(media.Duration), PTT: proto.Bool(media.Kind == network.Voice),
			URL: optional(file.URL), DirectPath: proto.String(file.DirectPath), MediaKey: file.MediaKey, MediaKeyTimestamp: stamp,
			FileSHA256: file.FileSHA256, FileEncSHA256: file.FileEncSHA256, FileLength: length, ContextInfo: info,
		}
		if media.Kind == network.Voice {
			audio.Waveform = wire.Loudness(media.Waveform)
		}
		return &waE2E.Message{AudioMessage: audio}
	case network.Document:
		return spellDocument(media, &waE2E.DocumentMessage{
			Mimetype: mime, Caption: optional(media.Caption), FileName: optional(media.FileName), Title: optional(media.FileName),
			URL: optional(file.URL), DirectPath: proto.String(file.DirectPath), MediaKey: file.MediaKey, MediaKeyTimestamp: stamp,
			FileSHA256: file.FileSHA256, FileEncSHA256: file.FileEncSHA256, FileLength: length,
			JPEGThumbnail: smallPicture(media.Thumbnail), ContextInfo: info,
		})
	case network.Sticker:
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{
			Mimetype: mime, Width: number(media.Width), Height: number(media.Height), IsAnimated: proto.Bool(media.Animated),
			URL: optional(file.URL), DirectPath: proto.String(file.DirectPath), MediaKey: file.MediaKey, MediaKeyTimestamp: stamp,
			FileSHA256: file.FileSHA256, FileEncSHA256: file.FileEncSHA256, FileLength: length, ContextInfo: info,
		}}
	}
	video := &waE2E.VideoMessage{
		Mimetype: mime, Caption: optional(media.Caption), Width: number(media.Width), Height: number(media.Height), Seconds: seconds(media.Duration),
		URL: optional(file.URL), DirectPath: proto.String(file.DirectPath), MediaKey: file.MediaKey, MediaKeyTimestamp: stamp,
		FileSHA256: file.FileSHA256, FileEncSHA256: file.FileEncSHA256, FileLength: length,
		JPEGThumbnail: smallPicture(media.Thumbnail), ContextInfo: info,
	}
	if media.Kind == network.VideoNote {
		return &waE2E.Message{PtvMessage: video}
	} else if media.Kind == network.GIF {
		video.GifPlayback = proto.Bool(true)
	}
	return &waE2E.Message{VideoMessage: video}
}

// spellDocument wraps a document that has a caption, as phones do.
func spellDocument(media network.Media, document *waE2E.DocumentMessage) *waE2E.Message {
	if media.Caption == "" {
		return &waE2E.Message{DocumentMessage: document}
	}
	return &waE2E.Message{DocumentWithCaptionMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{DocumentMessage: document}}}
}

// number is a count, absent when unknown.
func number(n int) *uint32 {
	if n <= 0 || int64(n) > math.MaxUint32 {
		return nil
	}
	return proto.Uint32(uint32(n))
}

// seconds is a length of time in begun seconds, absent when unknown.
func seconds(d time.Duration) *uint32 {
	return number(int((d + time.Second - 1) / time.Second))
}

func writeLocation(l network.Location, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	if _, ok := place(l).(network.Location); !ok {
		return nil, fmt.Errorf("%w: a place that is not on the map", network.ErrUnsupported)
	}
	return &waE2E.Message{LocationMessage: &waE2E.LocationMessage{
		DegreesLatitude: proto.Float64(l.Latitude), DegreesLongitude: proto.Float64(l.Longitude), AccuracyInMeters: number(l.Accuracy),
		Name: optional(l.Name), Address: optional(l.Address), URL: optional(l.URL), Comment: optional(l.Caption),
		JPEGThumbnail: smallPicture(l.Thumbnail), ContextInfo: info,
	}}, nil
}

func writeContacts(contacts network.Contacts, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	var cards []*waE2E.ContactMessage
	for _, card := range contacts.Cards {
		if len(card.VCard) > largestCard {
			return nil, fmt.Errorf("%w: a card of %d bytes", network.ErrTooLarge, len(card.VCard))
		}
		cards = append(cards, &waE2E.ContactMessage{DisplayName: proto.String(card.Name), Vcard: proto.String(card.VCard)})
	}
	switch {
	case len(cards) == 0 || len(cards) > mostCards:
		return nil, fmt.Errorf("%w: %d contacts in one message", network.ErrUnsupported, len(cards))
	case len(cards) == 1:
		cards[0].ContextInfo = info
		return &waE2E.Message{ContactMessage: cards[0]}, nil
	}
	return &waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{
		DisplayName: proto.String(fmt.Sprintf("%d contacts", len(cards))), Contacts: cards, ContextInfo: info,
	}}, nil
}

func writeInvite(invite network.GroupInvite, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	group, err := groupJID(invite.Group)
	if err != nil || invite.Code == "" {
		return nil, fmt.Errorf("%w: an invitation without a group or code", network.ErrUnsupported)
	}
	out := &waE2E.GroupInviteMessage{
		GroupJID: proto.String(group.String()), GroupName: proto.String(invite.Name), Caption: optional(invite.Caption),
		InviteCode: proto.String(invite.Code), JPEGThumbnail: smallPicture(invite.Thumbnail), ContextInfo: info,
	}
	if !invite.Expires.IsZero() {
		out.InviteExpiration = proto.Int64(unix(invite.Expires))
	}
	return &waE2E.Message{GroupInviteMessage: out}, nil
}
