package bridge

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/event"

	"causeway/convert"
	"causeway/network"
	"causeway/portal"
)

// previewPatience bounds the search for the picture of a link's preview, which a message goes without otherwise.
const previewPatience = 10 * time.Second

// withPreviewPicture adds the picture of a link's preview that the user's client has put on the homeserver. Nothing is fetched from
// anywhere else.
func (c *Client) withPreviewPicture(ctx context.Context, content network.Content, message *event.MessageEventContent) network.Content {
	text, ok := content.(network.Text)
	if !ok || text.Preview == nil || !c.can().PreviewPictures {
		return content
	}
	url, file := portal.PreviewPicture(message, *text.Preview)
	if url == "" {
		return content
	}
	ctx, cancel := context.WithTimeout(ctx, previewPatience)
	defer cancel()
	preview := *text.Preview
	err := c.connector.bridge.Bot.DownloadMediaToFile(ctx, url, file, false, func(picture *os.File) (err error) {
		head := make([]byte, convert.SniffLength)
		n, err := picture.ReadAt(head, 0)
		if err != nil && n == 0 {
			return fmt.Errorf("failed to read a picture: %w", err)
		}
		info, err := picture.Stat()
		if err != nil {
			return fmt.Errorf("failed to look at a picture: %w", err)
		}
		preview.Thumbnail, err = c.connector.converter.Thumbnail(ctx, io.NewSectionReader(picture, 0, info.Size()), convert.Sniff(head[:n]))
		return err
	})
	if err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("A link's preview is sent without its picture")
		return content
	}
	text.Preview = &preview
	return text
}
