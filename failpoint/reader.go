package failpoint

import "io"

// Reader marks a point in the middle of a stream: it is come by when the first bytes have been read and
// the next are asked for. A stream that is read in one go has its end there.
func Reader(name string, in io.Reader) io.Reader {
	if !Enabled {
		return in
	}
	return &reader{in: in, name: name}
}

type reader struct {
	in    io.Reader
	name  string
	begun bool
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if r.begun {
		if err := Hit(r.name); err != nil {
			return 0, err
		}
	}
	r.begun = true
	return r.in.Read(p)
}
