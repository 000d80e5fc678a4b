package interop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"causeway/database"
	"causeway/failpoint"
	"causeway/network"
)

const (
	mediaFolder = "media"
	// mediaKeyFile holds the key that paths are signed with.
	mediaKeyFile = "media-key"
	// mediaWriteTime is how long storing one file may take; then its place is given up.
	mediaWriteTime = time.Hour
	sweepEvery     = 10 * time.Minute
)

// mediaHost keeps the encrypted files that the network's media proxy fetches. It
// never sees a key to them: whoever hosts hands over ciphertext.
type mediaHost struct {
	base, dir, keyPath string
	integrator         int
	ttl                time.Duration
	db                 *database.Database
	now                func() time.Time
	log                zerolog.Logger
	proxy              *proxyVerifier
	limiter            *limiter
	// slots has one token for each request that is being answered.
	slots chan struct{}

	// quota makes looking at what is stored and adding to it one step.
	quota sync.Mutex
	// paths is nil until open.
	paths atomic.Pointer[signedPaths]
}

func newMediaHost(cfg Config, env Environment, db *database.Database, now func() time.Time, log zerolog.Logger) (*mediaHost, error) {
	base, err := url.Parse(cfg.Media.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("failed to read %smedia.base_url: %w", configPath, err)
	}
	proxy, err := newProxyVerifier(cfg.MetaIssuer, base.Scheme+"://"+base.Host, now)
	if err != nil {
		return nil, err
	}
	dir := cfg.Media.Dir
	if dir == "" {
		dir = filepath.Join(env.StateDir, mediaFolder)
	}
	return &mediaHost{
		base: cfg.Media.BaseURL, dir: dir, keyPath: filepath.Join(cfg.keyDir(env), mediaKeyFile), integrator: cfg.Integrator.ID,
		ttl: time.Duration(cfg.Media.TTL), db: db, now: now, log: log, proxy: proxy,
		limiter: newLimiter(now), slots: make(chan struct{}, maxMediaRequests),
	}, nil
}

// open makes the folder and reads the key. A folder that others can read is refused.
func (h *mediaHost) open() error {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return fmt.Errorf("failed to make the media folder: %w", err)
	}
	info, err := os.Stat(h.dir)
	if err != nil {
		return fmt.Errorf("failed to open the media folder: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("the media folder can be read by others: run chmod 700 %s", h.dir)
	}
	text, err := openSecret(h.keyPath)
	if err != nil {
		return err
	}
	key, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("failed to read the media key: %w", err)
	}
	h.paths.Store(&signedPaths{integrator: h.integrator, key: key, audience: h.proxy.audience})
	return nil
}

// Host keeps an encrypted file of a login for the network to fetch, and says under
// which path a message names it. The file is read as a stream; its size in bytes
// and its SHA-256 must be what was promised. It lives for as long as the
// configuration has it, or until the login is withdrawn (docs/protocol.md#media).
func (p *Provider) Host(ctx context.Context, owner network.Address, ciphertext io.Reader, size int64, encSHA256 [32]byte) (string, error) {
	directPath, err := p.host(ctx, owner, ciphertext, size, encSHA256)
	if err != nil {
		return "", fmt.Errorf("failed to host a file of %s: %w", owner, err)
	}
	return directPath, nil
}

func (p *Provider) host(ctx context.Context, owner network.Address, ciphertext io.Reader, size int64, sum [32]byte) (string, error) {
	h := p.media
	switch {
	case h == nil:
		return "", ErrNoMediaHost
	case h.paths.Load() == nil:
		return "", ErrNotStarted
	case size <= 0:
		return "", fmt.Errorf("%w: it is empty", network.ErrMediaBroken)
	case size > maxMediaObject:
		return "", network.ErrTooLarge
	}
	row, err := p.reserve(ctx, owner, size, sum)
	if err != nil {
		return "", err
	}
	if err = h.store(ctx, row, ciphertext); err != nil {
		// The caller may be gone already; what is left must go all the same.
		return "", errors.Join(err, h.db.DeleteMedia(context.WithoutCancel(ctx), row.ID), h.remove(row.ID))
	}
	if err = failpoint.Hit(failpoint.MediaStored); err != nil {
		return "", err
	}
	return h.paths.Load().DirectPath(*row)
}

// reserve takes a place in the quotas for a file of a user who may connect.
func (p *Provider) reserve(ctx context.Context, owner network.Address, size int64, sum [32]byte) (*database.Media, error) {
	h := p.media
	h.quota.Lock()
	defer h.quota.Unlock()
	var random [32]byte
	_, _ = rand.Read(random[:])
	now := h.now()
	row := &database.Media{ID: base64.RawURLEncoding.EncodeToString(random[:]), LoginID: owner.String(), Size: size,
		SHA256: hex.EncodeToString(sum[:]), CreatedAt: now, ExpiresAt: now.Add(mediaWriteTime)}
	err := p.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		enlisted, err := p.db.Enlistment(ctx, row.LoginID)
		if err != nil {
			return err
		}
		var consent *database.Consent
		if enlisted != nil {
			if consent, err = p.db.Consent(ctx, enlisted.ConsentID); err != nil {
				return err
			}
		}
		if err = p.mayConnect(enlisted, consent); err != nil {
			return err
		}
		own, all, err := p.db.MediaUsage(ctx, row.LoginID)
		if err != nil {
			return err
		}
		if own+size > maxMediaUser || all+size > maxMediaAll {
			return ErrMediaQuota
		}
		return p.db.InsertMedia(ctx, *row)
	})
	return row, err
}

// store writes a file whose place is taken, checks it and lets it be fetched.
func (h *mediaHost) store(ctx context.Context, row *database.Media, ciphertext io.Reader) error {
	file, err := os.OpenFile(h.file(row.ID), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	hash := sha256.New()
	// One byte more than promised is enough to know that there are too many.
	written, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(ciphertext, row.Size+1))
	if err == nil && written != row.Size {
		err = fmt.Errorf("%w: %d bytes were promised, %d or more came", network.ErrMediaBroken, row.Size, written)
	} else if err == nil && hex.EncodeToString(hash.Sum(nil)) != row.SHA256 {
		err = fmt.Errorf("%w: it does not have the hash that was promised", network.ErrMediaBroken)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = syncDir(h.dir); err != nil {
		return err
	}
	// Paths have whole seconds.
	row.ExpiresAt = h.now().Add(h.ttl).Truncate(time.Second)
	found, err := h.db.ReadyMedia(ctx, row.ID, row.ExpiresAt)
	if err == nil && !found {
		err = network.ErrWithdrawn
	}
	return err
}

func (h *mediaHost) file(id string) string { return filepath.Join(h.dir, id) }

// remove deletes files whose rows are gone.
func (h *mediaHost) remove(ids ...string) error {
	var errs []error
	for _, id := range ids {
		if err := os.Remove(h.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("failed to delete hosted files: %w", err)
	}
	return nil
}

// removeMedia deletes files whose rows are gone, if this program hosts at all. What
// cannot be deleted now is not served any more, and the next sweep tries again.
func (p *Provider) removeMedia(ids []string) {
	if p.media == nil {
		return
	}
	if err := p.media.remove(ids...); err != nil {
		p.log.Err(err).Msg("Hosted files are left for the next sweep")
	}
}

// sweep deletes what has expired, and files that no row knows.
func (h *mediaHost) sweep(ctx context.Context) error {
	// Files are listed before rows are read: a row is there before its file.
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return fmt.Errorf("failed to list hosted files: %w", err)
	}
	expired, err := h.db.DeleteExpiredMedia(ctx, h.now())
	if err != nil {
		return err
	}
	if err = h.remove(expired...); err != nil {
		return err
	}
	for _, entry := range entries {
		if !isBlobName(entry.Name()) || !entry.Type().IsRegular() {
			continue
		}
		row, err := h.db.Media(ctx, entry.Name())
		if err != nil {
			return err
		}
		if row == nil {
			if err = h.remove(entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepMediaTidy sweeps until ctx ends.
func (p *Provider) keepMediaTidy(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := p.media.sweep(ctx); err != nil && ctx.Err() == nil {
			p.log.Err(err).Msg("Failed to sweep hosted files")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
