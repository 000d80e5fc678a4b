package meta

import (
	"context"
	"fmt"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow/socket"
)

// Frames are three bytes of length and that many bytes. A client may cut its
// stream into websocket messages as it likes; the server sends one whole frame a
// message, which is all that some clients understand (docs/protocol.md#handshake).

func (c *connection) readFrame(ctx context.Context) ([]byte, error) {
	var length [socket.FrameLengthSize]byte
	if err := c.readFull(ctx, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, int(length[0])<<16|int(length[1])<<8|int(length[2]))
	return frame, c.readFull(ctx, frame)
}

func (c *connection) readFull(ctx context.Context, into []byte) error {
	for len(c.pending) < len(into) {
		kind, data, err := c.ws.Read(ctx)
		if err != nil {
			return err
		}
		if kind != websocket.MessageBinary {
			return fmt.Errorf("websocket message is not binary: %w", errHandshake)
		}
		c.pending = append(c.pending, data...)
	}
	copy(into, c.pending)
	c.pending = c.pending[len(into):]
	return nil
}

func (c *connection) writeFrame(ctx context.Context, data []byte) error {
	if len(data) >= socket.FrameMaxSize {
		return fmt.Errorf("frame of %d bytes: %w", len(data), socket.ErrFrameTooLarge)
	}
	frame := make([]byte, 0, socket.FrameLengthSize+len(data))
	frame = append(frame, byte(len(data)>>16), byte(len(data)>>8), byte(len(data)))
	return c.ws.Write(ctx, websocket.MessageBinary, append(frame, data...))
}
