package linked

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// largestPiece is how many bytes a piece of history may have before it is inflated.
const largestPiece = 64 << 20

// historyRef is what is kept of a piece of history.
type historyRef struct {
	Notification []byte `json:"notification"`
}

// historyCame takes the notice of a piece of history, and tells the phone that it was taken.
func (l *link) historyCame(ctx context.Context, e *events.Message, piece *waE2E.HistorySyncNotification) error {
	switch piece.GetSyncType() {
	case waE2E.HistorySyncType_PUSH_NAME, waE2E.HistorySyncType_NON_BLOCKING_DATA:
		l.tasks.Go(func() { l.readPeople(ctx, piece) })
	case waE2E.HistorySyncType_INITIAL_STATUS_V3: // status posts of the past
	default:
		if err := l.handPiece(ctx, e, piece); err != nil {
			return err
		}
	}
	if err := l.lib.SendProtocolMessageReceipt(ctx, e.Info.ID, types.ReceiptTypeHistorySync); err != nil {
		l.owner.cfg.Log.Debug().Err(err).Msg("The phone was not told that history was taken")
	}
	return nil
}

// readPeople reads a piece that has no conversations, but says of people what the login should know. If it fails, their
// names come with their next messages.
func (l *link) readPeople(ctx context.Context, piece *waE2E.HistorySyncNotification) {
	err := guarded(func() error {
		file, err := l.pieceFile(ctx, piece)
		if err != nil {
			return err
		}
		defer file.Close()
		return (&pastReader{link: l, limit: l.owner.cfg.HistoryLimit}).overview(ctx, file)
	})
	if err != nil {
		l.owner.cfg.Log.Debug().Err(err).Msg("What the phone says of people was not read")
	}
}

// handPiece hands over the notice of a piece that has conversations.
func (l *link) handPiece(ctx context.Context, e *events.Message, piece *waE2E.HistorySyncNotification) error {
	raw, err := proto.Marshal(piece)
	if err != nil {
		return fmt.Errorf("failed to keep a notice of history: %w", err)
	}
	reference, err := json.Marshal(historyRef{Notification: raw})
	if err != nil {
		return fmt.Errorf("failed to keep a notice of history: %w", err)
	}
	kind := piece.GetSyncType()
	return l.hand(ctx, network.HistoryEvent{
		ID: wire.Clean(e.Info.ID), Reference: reference, Progress: int(min(piece.GetProgress(), 100)), Time: e.Info.Timestamp,
		Recent: kind == waE2E.HistorySyncType_INITIAL_BOOTSTRAP || kind == waE2E.HistorySyncType_RECENT,
	})
}

// ReadHistory reads a piece of history, see [network.History]. It is read twice: what it says of people
// and chats stands behind the messages.
func (c *Client) ReadHistory(ctx context.Context, reference []byte, yield func(network.HistoryChat) error) error {
	piece, err := pieceOf(reference)
	if err != nil {
		return err
	}
	l, err := c.current()
	if err != nil {
		return err
	}
	file, err := l.pieceFile(ctx, piece)
	if err != nil {
		return fmt.Errorf("failed to fetch history: %w", err)
	}
	defer file.Close()
	past := &pastReader{link: l, limit: c.cfg.HistoryLimit}
	if err = past.overview(ctx, file); err != nil {
		return fmt.Errorf("failed to read history: %w", err)
	}
	if err = past.chats(ctx, file, yield); err != nil {
		return fmt.Errorf("failed to read history: %w", err)
	}
	return nil
}

// ForgetHistory has the network delete a piece.
func (c *Client) ForgetHistory(ctx context.Context, reference []byte) error {
	piece, err := pieceOf(reference)
	if err != nil {
		return err
	}
	l, err := c.current()
	if err != nil || piece.GetDirectPath() == "" {
		return err
	}
	err = l.lib.DeleteMedia(ctx, whatsmeow.MediaHistory, piece.GetDirectPath(), piece.GetFileEncSHA256(), piece.GetEncHandle())
	if err != nil {
		return fmt.Errorf("%w: failed to delete history from the network: %w", network.ErrTemporary, err)
	}
	return nil
}

func pieceOf(reference []byte) (*waE2E.HistorySyncNotification, error) {
	var ref historyRef
	var piece waE2E.HistorySyncNotification
	if json.Unmarshal(reference, &ref) != nil || proto.Unmarshal(ref.Notification, &piece) != nil {
		return nil, fmt.Errorf("%w: unreadable reference", network.ErrMediaGone)
	}
	return &piece, nil
}

// pieceFile is a piece before it is inflated. Small ones come with their notice.
func (l *link) pieceFile(ctx context.Context, piece *waE2E.HistorySyncNotification) (io.ReadSeekCloser, error) {
	if inline := piece.GetInitialHistBootstrapInlinePayload(); len(inline) > 0 {
		return struct {
			*bytes.Reader
			io.Closer
		}{bytes.NewReader(inline), io.NopCloser(nil)}, nil
	}
	if len(piece.GetMediaKey()) != 32 || len(piece.GetFileEncSHA256()) != 32 {
		return nil, fmt.Errorf("%w: the notice lacks its key or hashes", network.ErrMediaGone)
	}
	file, err := l.download(ctx, largestPiece, func(ctx context.Context, spool *os.File) error {
		return l.lib.DownloadToFile(ctx, piece, spool)
	})
	if err != nil {
		return nil, err
	}
	return file.(io.ReadSeekCloser), nil // a spool is a file
}

// errBroken says that a piece is not what it should be.
var errBroken = fmt.Errorf("%w: not a piece of history", network.ErrMediaBroken)

// inflated reads a piece from its beginning, up to a limit.
func inflated(file io.ReadSeeker, limit int64) (*protoReader, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("failed to read a spool: %w", err)
	}
	plain, err := zlib.NewReader(file)
	if err != nil {
		return nil, errors.Join(errBroken, err)
	}
	return newProtoReader(plain, limit), nil
}
