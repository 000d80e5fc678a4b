package homeserver

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// blob is an uploaded file; data is nil until an upload made in advance arrives.
type blob struct {
	data       []byte
	kind, name string
	owner      string
}

func (hs *Server) mxc(id string) string { return "mxc://" + hs.opts.serverName + "/" + id }

func getMediaConfig(hs *Server, _ *request) (any, error) {
	return map[string]int64{"m.upload.size": hs.opts.mediaLimit}, nil
}

// readUpload reads a file outside the lock.
func (hs *Server) readUpload(w http.ResponseWriter, rq *request) (*blob, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, rq.Body, hs.opts.mediaLimit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, refuse(http.StatusRequestEntityTooLarge, "M_TOO_LARGE", "Upload request body is too large")
	} else if err != nil {
		panic(http.ErrAbortHandler) // cut within the upload
	}
	return &blob{data: data, kind: rq.Header.Get("Content-Type"), name: rq.query.Get("filename"), owner: rq.user.id}, nil
}

func (hs *Server) postUpload(w http.ResponseWriter, rq *request) (any, error) {
	file, err := hs.readUpload(w, rq)
	if err != nil {
		return nil, err
	}
	return hs.locked(rq, func(hs *Server, _ *request) (any, error) {
		id := hs.token()[:24]
		hs.media[id] = file
		return map[string]string{"content_uri": hs.mxc(id)}, nil
	})
}

func postCreateMedia(hs *Server, rq *request) (any, error) {
	id := hs.token()[:24]
	hs.media[id] = &blob{owner: rq.user.id}
	return map[string]any{"content_uri": hs.mxc(id), "unused_expires_at": time.Now().Add(time.Hour).UnixMilli()}, nil
}

func (hs *Server) putUpload(w http.ResponseWriter, rq *request) (any, error) {
	file, err := hs.readUpload(w, rq)
	if err != nil {
		return nil, err
	}
	return hs.locked(rq, func(hs *Server, rq *request) (any, error) {
		id := rq.PathValue("media")
		promised := hs.media[id]
		switch {
		case promised == nil || rq.PathValue("server") != hs.opts.serverName:
			return nil, notFound("Unknown media ID")
		case promised.owner != rq.user.id:
			return nil, forbidden("Only the creator of the media ID can upload to it")
		case promised.data != nil:
			return nil, refuse(http.StatusConflict, "M_CANNOT_OVERWRITE_MEDIA", "Media ID already has content")
		}
		hs.media[id] = file
		return empty, nil
	})
}

func (hs *Server) getMedia(w http.ResponseWriter, rq *request) (any, error) {
	found, err := hs.locked(rq, func(hs *Server, rq *request) (any, error) {
		file := hs.media[rq.PathValue("media")]
		if file == nil || rq.PathValue("server") != hs.opts.serverName {
			return nil, notFound("Not found")
		}
		if file.data == nil {
			return nil, refuse(http.StatusGatewayTimeout, "M_NOT_YET_UPLOADED", "Media has not been uploaded yet")
		}
		return file, nil
	})
	if err != nil {
		return nil, err
	}
	file := found.(*blob) // never changed once it has data
	kind := file.kind
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("inline", dispositionParams(file.name)))
	http.ServeContent(w, rq.Request, "", time.Time{}, bytes.NewReader(file.data))
	return nil, nil
}

func dispositionParams(name string) map[string]string {
	if name == "" {
		return nil
	}
	return map[string]string{"filename": name}
}

// Media is an uploaded file as the server keeps it, by its mxc:// address; nil when there is none.
func (hs *Server) Media(mxc string) []byte {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	prefix := hs.mxc("")
	if len(mxc) <= len(prefix) || mxc[:len(prefix)] != prefix || hs.media[mxc[len(prefix):]] == nil {
		return nil
	}
	return hs.media[mxc[len(prefix):]].data
}
