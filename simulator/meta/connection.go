package meta

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/socket"
)

// connection is one client's websocket after its handshake.
type connection struct {
	n      *Network
	id     int
	header http.Header
	ws     *websocket.Conn
	since  time.Time
	done   context.CancelFunc
	ctx    context.Context

	in        cipher.AEAD // only the reading goroutine
	inCounter uint32
	pending   []byte

	out        cipher.AEAD // only the writing goroutine
	outCounter uint32

	mu      sync.Mutex
	outbox  []outFrame
	ready   chan struct{} // one token when outbox has something
	silent  bool          // nothing in or out any more, but no close either
	deaf    bool          // nothing in any more, though what goes out still does
	closing bool          // nothing out any more

	// device is who logged in, nil before; guarded by the model's lock.
	device  *device
	pairing *pairing // of a client that wants to become a linked device; likewise
	over    bool     // the client was told so; what it still sends does not count
	mode    string
}

const handshakeTimeout = 20 * time.Second

// chatHandler serves the websocket, the files of the media host, and the page that tells clients the current version.
func (n *Network) chatHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/chat", n.serveChat)
	mux.HandleFunc("GET /mms/", n.serveBlob)
	mux.HandleFunc("POST /mms/{kind}/{token}", n.serveUpload)
	mux.HandleFunc("DELETE /mms/{kind}/{token}", n.serveDelete)
	mux.HandleFunc("GET /pps/{name}", n.servePicture)
	mux.HandleFunc("GET /i/{integrator}/{blob}", n.serveProxy)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<html><script>{"client_revision":%d,"x":0}</script></html>`, clientRevision)
	})
	return mux
}

func (n *Network) serveChat(w http.ResponseWriter, r *http.Request) {
	if status := checkUpgrade(r.Header, n.now()); status != 0 {
		n.finding("upgrade-refused", fmt.Sprintf("chat upgrade answered %d", status))
		http.Error(w, http.StatusText(status), status)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return
	}
	ws.SetReadLimit(socket.FrameMaxSize + 16)
	ctx, cancel := context.WithCancel(n.ctx)
	c := &connection{n: n, header: r.Header.Clone(), ws: ws, since: n.now(), ctx: ctx, done: cancel,
		ready: make(chan struct{}, 1), mode: orElse(r.Header.Get(headerMode), modeClient)}
	defer c.end()
	if !n.track(c) {
		return
	}
	if err := c.run(); err != nil && !quiet(err) {
		n.transcript.note(n.now(), fmt.Sprintf("#%d ended: %v", c.id, err))
	}
}

func quiet(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || websocket.CloseStatus(err) != -1
}

// run does the handshake, lets the client in or not, and reads until the connection ends.
func (c *connection) run() error {
	header := make([]byte, len(socket.WAConnHeader))
	deadline, cancel := context.WithTimeout(c.ctx, handshakeTimeout)
	defer cancel()
	if err := c.readFull(deadline, header); err != nil {
		return err
	}
	if string(header) != string(socket.WAConnHeader) {
		c.n.finding("bad-header", fmt.Sprintf("connection starts with %x", header))
		return errHandshake
	}
	hs, err := c.n.respond(header,
		func() ([]byte, error) { return c.readFrame(deadline) },
		func(data []byte) error { return c.writeFrame(deadline, data) })
	if err != nil {
		return err
	}
	c.in, c.out = hs.toServer, hs.fromServer
	c.n.work.Go(c.write)
	c.n.admit(c, hs)
	for {
		frame, err := c.readFrame(c.ctx)
		if err != nil {
			return err
		}
		if err = c.receive(frame); err != nil {
			return err
		}
	}
}

// receive opens one frame and hands its stanza on.
func (c *connection) receive(frame []byte) (err error) {
	plaintext, err := c.in.Open(nil, nonce(c.inCounter), frame, nil)
	if err != nil || len(plaintext) == 0 {
		c.n.finding("bad-frame", fmt.Sprintf("connection #%d: frame does not open", c.id))
		return errHandshake
	}
	c.inCounter++
	if c.hearsNothing() {
		return nil
	}
	node, err := decodeStanza(plaintext)
	if err != nil {
		c.n.finding("bad-stanza", fmt.Sprintf("connection #%d: %v", c.id, err))
		return nil
	}
	c.n.transcript.stanza(c.n.now(), ">", c.name(), *node)
	c.n.checkStanza(*node)
	c.n.fromClient(c, *node)
	return nil
}

func decodeStanza(data []byte) (node *binary.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("undecodable: %v", r)
		}
	}()
	if data, err = binary.Unpack(data); err != nil {
		return nil, err
	}
	return binary.Unmarshal(data)
}

// send queues a stanza; stanzas leave in the order of the calls.
func (c *connection) send(node binary.Node) {
	data, err := binary.Marshal(node)
	if err != nil {
		c.n.cfg.logf("simulator: failed to write a stanza: %v", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.silent || c.ctx.Err() != nil {
		return
	}
	c.n.transcript.stanza(c.n.now(), "<", c.name(), node)
	c.push(outFrame{data: data, cut: c.splitAt(node, len(data))})
}

// push puts the plaintext of a frame into the outbox; c.mu is held.
func (c *connection) push(f outFrame) {
	c.outbox = append(c.outbox, f)
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// sendLater sends after the delay that the profile has for it.
func (c *connection) sendLater(node binary.Node) {
	wait := c.n.delay(node.Tag + "/" + textOf(node.Attrs["id"]))
	if wait == 0 {
		c.send(node)
		return
	}
	time.AfterFunc(wait, func() { c.send(node) })
}

// write seals and sends what is in the outbox until the connection ends.
func (c *connection) write() {
	for {
		select {
		case <-c.ready:
		case <-c.ctx.Done():
			return
		}
		c.mu.Lock()
		batch := c.outbox
		c.outbox = nil
		c.mu.Unlock()
		for _, frame := range batch {
			if err := c.writeOut(c.ctx, frame); err != nil {
				return
			}
		}
	}
}

func (c *connection) hearsNothing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silent || c.deaf
}

// finish sends a last stanza and closes some time later, as clients drop what comes right before a close.
func (c *connection) finish(last binary.Node) {
	c.n.detach(c)
	c.send(last)
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	time.AfterFunc(c.n.cfg.closeDelay, c.close)
}

// close ends the websocket in good order.
func (c *connection) close() {
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
	c.done()
}

// reset ends the connection without a word.
func (c *connection) reset() {
	_ = c.ws.CloseNow()
	c.done()
}

// end forgets the connection after its reader has ended.
func (c *connection) end() {
	c.n.forget(c)
	c.reset()
}
