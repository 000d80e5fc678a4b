package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"causeway/failpoint"
	"causeway/network"
)

var _ network.MediaSource = (*Account)(nil)

// Upload gives an encrypted file to the provider's media host and returns the path by
// which the network finds it there.
type Upload func(ctx context.Context, ciphertext io.Reader, size int64, encSHA256 [32]byte) (directPath string, err error)

// Host encrypts a file and gives it to the provider's media host. The file passes as a
// stream; what is spooled on disk is ciphertext. It must be called before the message
// about the file is sent, and fails with [network.ErrUnsupported] where there is no host.
func (a *Account) Host(ctx context.Context, media network.Media, class MediaType) (file SealedMedia, err error) {
	if a.login.Upload == nil || media.Open == nil {
		return file, fmt.Errorf("%w: there is no host for files, or no file", network.ErrUnsupported)
	}
	if err = a.client.Ready(); err != nil {
		return file, err // before the file is moved in vain
	}
	plain, err := media.Open(ctx)
	if err != nil {
		return file, fmt.Errorf("failed to open a file: %w", err)
	}
	defer plain.Close()
	spool, err := NewSpool()
	if err != nil {
		return file, err
	}
	defer spool.Close()
	if file, err = SealMedia(spool, plain, class); err != nil {
		return file, err
	}
	ciphertext := failpoint.Reader(failpoint.MediaToNetwork, io.NewSectionReader(spool, 0, file.EncSize))
	if file.Path, err = a.login.Upload(ctx, ciphertext, file.EncSize, [32]byte(file.EncSHA256)); err != nil {
		return file, fmt.Errorf("failed to host a file: %w", err)
	}
	return file, nil
}

// HostFile is [Account.Host] for content that may be a file; all else passes. What phones would
// refuse fails before the file is read.
func (a *Account) HostFile(ctx context.Context, content network.Content) (file SealedMedia, err error) {
	media, ok := content.(network.Media)
	if !ok {
		return file, nil
	}
	if err = CheckMedia(media); err != nil {
		return file, err
	}
	return a.Host(ctx, media, ClassOf(media.Kind))
}

// Reference is what [network.Media] keeps of a file that came in.
func (r MediaRef) Reference() ([]byte, error) {
	reference, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("failed to keep the reference of a file: %w", err)
	}
	return reference, nil
}

// OpenMedia reads a file that came in, see [network.MediaSource].
func (a *Account) OpenMedia(ctx context.Context, reference []byte) (io.ReadCloser, error) {
	var ref MediaRef
	if err := json.Unmarshal(reference, &ref); err != nil {
		return nil, fmt.Errorf("%w: unreadable reference", network.ErrMediaGone)
	}
	return a.client.FetchMedia(ctx, ref)
}

// openable completes the content of a message that came in.
func (a *Account) openable(content network.Content) network.Content {
	media, ok := content.(network.Media)
	if !ok {
		return content
	}
	reference := media.Reference
	media.Open = func(ctx context.Context) (io.ReadCloser, error) { return a.OpenMedia(ctx, reference) }
	return media
}
