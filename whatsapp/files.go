package whatsapp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"causeway/network"
	"causeway/wire"
)

var _ network.MediaSource = (*Interop)(nil)

// host encrypts the file of a message and gives it to the provider's media host. The
// file passes as a stream; what is spooled on disk is ciphertext.
func (i *Interop) host(ctx context.Context, content network.Content) (file wire.SealedMedia, err error) {
	media, ok := content.(network.Media)
	if !ok {
		return file, nil
	}
	if err = checkMedia(media); err != nil {
		return file, err
	}
	if i.upload == nil {
		return file, fmt.Errorf("%w: there is no host for files", network.ErrUnsupported)
	}
	if err = i.client.Ready(); err != nil {
		return file, err // before the file is moved in vain
	}
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
	if file, err = wire.SealMedia(spool, plain, mediaClass(media.Kind)); err != nil {
		return file, err
	}
	ciphertext := io.NewSectionReader(spool, 0, file.EncSize)
	if file.Path, err = i.upload(ctx, ciphertext, file.EncSize, [32]byte(file.EncSHA256)); err != nil {
		return file, fmt.Errorf("failed to host a file: %w", err)
	}
	return file, nil
}

// OpenMedia reads a file that came in, see [network.MediaSource].
func (i *Interop) OpenMedia(ctx context.Context, reference []byte) (io.ReadCloser, error) {
	var ref wire.MediaRef
	if err := json.Unmarshal(reference, &ref); err != nil {
		return nil, fmt.Errorf("%w: unreadable reference", network.ErrMediaGone)
	}
	return i.client.FetchMedia(ctx, ref)
}

// openable completes the content of a message that came in.
func (i *Interop) openable(content network.Content) network.Content {
	media, ok := content.(network.Media)
	if !ok {
		return content
	}
	reference := media.Reference
	media.Open = func(ctx context.Context) (io.ReadCloser, error) { return i.OpenMedia(ctx, reference) }
	return media
}
