package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"causeway/database"
)

const (
	// maxMediaRequests are answered at once.
	maxMediaRequests = 16
	// mediaChunk is sent within mediaChunkTime, and a whole file within mediaSendTime.
	mediaChunk     = 1 << 20
	mediaChunkTime = time.Minute
	mediaSendTime  = 10 * time.Minute
)

// serve answers a request for a file, or returns the status of the refusal. One that
// is unknown, expired, deleted, altered or wrongly signed gets the same answer.
func (h *mediaHost) serve(out http.ResponseWriter, r *http.Request, blob, address string) int {
	if !h.limiter.allow(address) {
		out.Header().Set("Retry-After", "60")
		return http.StatusTooManyRequests
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		out.Header().Set("Allow", "GET, HEAD")
		return http.StatusMethodNotAllowed
	}
	status := h.admit(r, blob)
	if status == 0 {
		select {
		case h.slots <- struct{}{}:
			status = h.answer(out, r, blob)
			<-h.slots
		default:
			status = http.StatusServiceUnavailable
		}
	}
	if status == http.StatusServiceUnavailable {
		out.Header().Set("Retry-After", "1")
	}
	if status < http.StatusBadRequest {
		// The limit is against guessing: whoever asks for what they were told about does not use it up.
		h.limiter.giveBack(address)
	}
	return status
}

// admit checks that the network's proxy asks, and for this very file; zero means that it does.
func (h *mediaHost) admit(r *http.Request, blob string) int {
	if h.paths.Load() == nil {
		return http.StatusServiceUnavailable
	}
	path, err := h.proxy.verify(r.Context(), r.Header.Values("Authorization"))
	switch {
	case errors.Is(err, errNoKeySet):
		h.log.Warn().Err(err).Msg("The media proxy cannot be recognised")
		return http.StatusServiceUnavailable
	case err != nil:
		h.log.Debug().Err(err).Msg("Refused a request for a file")
		return http.StatusUnauthorized
	case path != proxyPath(blob):
		return http.StatusForbidden
	}
	return 0
}

// answer sends the file.
func (h *mediaHost) answer(out http.ResponseWriter, r *http.Request, blob string) int {
	row, err := h.db.Media(r.Context(), blob)
	if err != nil {
		h.log.Err(err).Msg("Failed to answer a request for a file")
		return http.StatusServiceUnavailable
	}
	if row == nil || !row.Ready || !h.now().Before(row.ExpiresAt) || !h.paths.Load().Signed(*row, r.URL.Query()) {
		return http.StatusNotFound
	}
	file, err := h.read(row)
	if err != nil {
		h.log.Err(err).Str("login_id", row.LoginID).Msg("A hosted file is not what was stored")
		return http.StatusNotFound
	}
	defer func() { _ = file.Close() }()
	return send(out, r, *row, file)
}

// read opens a file and makes sure that nothing has altered it.
func (h *mediaHost) read(row *database.Media) (*os.File, error) {
	file, err := os.Open(h.file(row.ID))
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, io.LimitReader(file, row.Size+1))
	if err == nil && hex.EncodeToString(hash.Sum(nil)) != row.SHA256 {
		err = errors.New("its hash has changed")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// send writes the head and the wanted part of the file.
func send(out http.ResponseWriter, r *http.Request, row database.Media, file *os.File) int {
	header := out.Header()
	first, length, status := wanted(r.Header, row)
	if status == http.StatusRequestedRangeNotSatisfiable {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", row.Size))
		return status
	}
	if status == http.StatusPartialContent {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, row.Size))
	}
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	header.Set("Accept-Ranges", "bytes")
	header.Set("ETag", entityTag(row))
	header.Set("Cache-Control", mediaCaching)
	out.WriteHeader(status)
	if r.Method == http.MethodHead {
		return status
	}
	control, began := http.NewResponseController(out), time.Now()
	// A reader that is slow may take longer than the listener allows for small answers.
	for at, end := first, first+length; at < end; at += mediaChunk {
		deadline := time.Now().Add(mediaChunkTime)
		if latest := began.Add(mediaSendTime); deadline.After(latest) {
			deadline = latest
		}
		_ = control.SetWriteDeadline(deadline)
		if _, err := io.Copy(out, io.NewSectionReader(file, at, min(mediaChunk, end-at))); err != nil {
			return status
		}
	}
	return status
}

// wanted is the part of the file that a request asks for: all of it, or one range.
func wanted(header http.Header, row database.Media) (first, length int64, status int) {
	ranges := header.Values("Range")
	if len(ranges) == 0 || (header.Get("If-Range") != "" && header.Get("If-Range") != entityTag(row)) {
		return 0, row.Size, http.StatusOK
	}
	first, last, ok := parseRange(ranges[0], row.Size)
	if !ok || len(ranges) > 1 {
		return 0, 0, http.StatusRequestedRangeNotSatisfiable
	}
	return first, last - first + 1, http.StatusPartialContent
}

// parseRange reads a single range of bytes (RFC 9110 section 14.1.2): first-last, first- or -count.
func parseRange(text string, size int64) (first, last int64, ok bool) {
	spec, isBytes := strings.CutPrefix(text, "bytes=")
	from, to, isRange := strings.Cut(spec, "-")
	if !isBytes || !isRange {
		return 0, 0, false
	}
	last = size - 1
	if from == "" {
		count, ok := parseDigits(to)
		return max(0, size-count), last, ok && count > 0
	}
	first, ok = parseDigits(from)
	if !ok || first >= size {
		return 0, 0, false
	}
	if to != "" {
		end, ok := parseDigits(to)
		if !ok || end < first {
			return 0, 0, false
		}
		last = min(last, end)
	}
	return first, last, true
}

// parseDigits reads a number that is written in digits alone.
func parseDigits(text string) (int64, bool) {
	number, err := strconv.ParseUint(text, 10, 63)
	return int64(number), err == nil
}
