package meta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"
)

const patience = 30 * time.Second

// world is a network, one provider with a key set, and its clients.
type world struct {
	*Network
	t        *testing.T
	provider *testProvider
}

func newWorld(t *testing.T, opts ...Option) *world {
	t.Helper()
	n := Start(t, append([]Option{Seed(7), Profile(Calm), CloseDelay(20 * time.Millisecond)}, opts...)...)
	p := &testProvider{t: t, n: n, key: newSigningKey(t, "ES256")}
	p.publish(p.key)
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(server.Close)
	p.url = server.URL
	require.NoError(t, n.AddIntegrator(Integrator{ID: testIntegrator, Name: "Causeway", Issuer: p.url}))
	return &world{Network: n, t: t, provider: p}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// bareClient is a conforming client and no more: the wire, a Signal store, and what a test does with them.
type bareClient struct {
	t       *testing.T
	w       *world
	user    *testUser
	noise   *keys.KeyPair
	signal  *signalStore
	account string
	header  http.Header
	root    [32]byte
	frames  *socket.FrameSocket
	noiseSo *socket.NoiseSocket
	payload func(*waWa6.ClientPayload)
	claims  func(map[string]any)
	noAcks  bool

	mu      sync.Mutex
	got     []binary.Node
	changed chan struct{}
	closed  bool
	lastID  int
}

// enlisted makes a client whose account is on record.
func (w *world) enlisted(name string) *bareClient {
	w.t.Helper()
	c := w.stranger(name)
	s := c.signal.public()
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enlistments["e_"+name] = &enlistment{ID: "e_" + name, Product: productWhatsApp, Integrator: testIntegrator, Account: c.account,
		Subject: c.user.subject, IdentifierType: "email", Identifier: c.user.email, Normalized: c.user.email, DisplayName: name,
		Status: enlistmentActive, RegistrationID: s.registration, IdentityKey: s.identity, NoiseKey: *c.noise.Pub,
		SignedPrekeyID: s.signed.id, SignedPrekey: s.signed.public, SignedPrekeySignature: s.signed.signature,
		Country: "DE", Created: now, Updated: now}
	return c
}

// stranger makes a client that is not enlisted.
func (w *world) stranger(name string) *bareClient {
	c := &bareClient{t: w.t, w: w, noise: keys.NewKeyPair(), signal: newSignalStore(4711), root: w.Root(), changed: make(chan struct{}),
		account: strconv.Itoa(105_000_000_000_000 + len(name)*1000 + int(name[0])), header: http.Header{headerMode: {modeClient}}}
	c.user = &testUser{subject: "u_" + name, email: name + "@example.eu", noise: *c.noise.Pub}
	return c
}

func (c *bareClient) jid() types.JID { return interopJID(testIntegrator, c.account) }
func (c *bareClient) text() string   { return jidText(c.jid()) }

func (c *bareClient) token() string {
	claims := c.w.provider.claims(c.user, "connect")
	claims["account_id"] = c.account
	if c.claims != nil {
		c.claims(claims)
	}
	return c.w.provider.token(claims)
}

// dial connects and finishes the handshake.
func (c *bareClient) dial() error {
	fs := socket.NewFrameSocket(waLog.Noop, http.DefaultClient)
	fs.URL = c.w.ChatURL()
	for key, values := range c.header {
		fs.HTTPHeaders[key] = values
	}
	if err := fs.Connect(context.Background()); err != nil {
		return err
	}
	c.t.Cleanup(func() { fs.Close(0) })
	c.mu.Lock()
	c.got, c.closed, c.frames = nil, false, fs
	c.mu.Unlock()
	err := c.handshake(fs)
	if err != nil {
		fs.Close(0)
	}
	return err
}

func (c *bareClient) handshake(fs *socket.FrameSocket) error {
	ephemeral := keys.NewKeyPair()
	nh := socket.NewNoiseHandshake()
	nh.Start(socket.NoiseStartPattern, fs.Header)
	nh.Authenticate(ephemeral.Pub[:])
	hello, err := proto.Marshal(&waWa6.HandshakeMessage{ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: ephemeral.Pub[:]}})
	if err != nil {
		return err
	}
	if err = fs.SendFrame(hello); err != nil {
		return err
	}
	var answer waWa6.HandshakeMessage
	select {
	case frame := <-fs.Frames:
		if err = proto.Unmarshal(frame, &answer); err != nil {
			return err
		}
	case <-time.After(patience):
		return errors.New("no server hello")
	}
	theirs := [32]byte(answer.GetServerHello().GetEphemeral())
	nh.Authenticate(theirs[:])
	if err = nh.MixSharedSecretIntoKey(*ephemeral.Priv, theirs); err != nil {
		return err
	}
	static, err := nh.Decrypt(answer.GetServerHello().GetStatic())
	if err != nil {
		return err
	}
	if err = nh.MixSharedSecretIntoKey(*ephemeral.Priv, [32]byte(static)); err != nil {
		return err
	}
	chain, err := nh.Decrypt(answer.GetServerHello().GetPayload())
	if err != nil {
		return err
	}
	if err = checkChain(chain, c.root, static); err != nil {
		return err
	}
	return c.finishHandshake(fs, nh, theirs)
}

func (c *bareClient) finishHandshake(fs *socket.FrameSocket, nh *socket.NoiseHandshake, theirs [32]byte) error {
	account, err := strconv.ParseUint(c.account, 10, 64)
	require.NoError(c.t, err)
	payload := &waWa6.ClientPayload{
		Passive: proto.Bool(false), Pull: proto.Bool(true), Product: waWa6.ClientPayload_INTEROP.Enum(), UserAgent: &waWa6.ClientPayload_UserAgent{},
		InteropData: &waWa6.ClientPayload_InteropData{AccountID: &account, Token: []byte(c.token()), EnableReadReceipts: proto.Bool(true)},
	}
	if c.payload != nil {
		c.payload(payload)
	}
	data, err := proto.Marshal(payload)
	if err != nil {
		return err
	}
	static := nh.Encrypt(c.noise.Pub[:])
	if err = nh.MixSharedSecretIntoKey(*c.noise.Priv, theirs); err != nil {
		return err
	}
	finish, err := proto.Marshal(&waWa6.HandshakeMessage{ClientFinish: &waWa6.HandshakeMessage_ClientFinish{
		Static: static, Payload: nh.Encrypt(data)}})
	if err != nil {
		return err
	}
	if err = fs.SendFrame(finish); err != nil {
		return err
	}
	receive := func(_ context.Context, data []byte) { c.receive(fs, data) }
	c.noiseSo, err = nh.Finish(context.Background(), fs, receive, func(context.Context, *socket.NoiseSocket, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.frames == fs {
			c.closed = true
			close(c.changed)
			c.changed = make(chan struct{})
		}
	})
	return err
}

// checkChain is the whole check that a client owes (docs/protocol.md#handshake).
func checkChain(data []byte, root [32]byte, static []byte) error {
	var chain waCert.CertChain
	var intermediate, leaf waCert.CertChain_NoiseCertificate_Details
	if err := proto.Unmarshal(data, &chain); err != nil {
		return err
	}
	if err := proto.Unmarshal(chain.GetIntermediate().GetDetails(), &intermediate); err != nil {
		return err
	}
	if err := proto.Unmarshal(chain.GetLeaf().GetDetails(), &leaf); err != nil {
		return err
	}
	now := uint64(time.Now().Unix())
	switch {
	case !ecc.VerifySignature(ecc.NewDjbECPublicKey(root), chain.Intermediate.Details, [64]byte(chain.Intermediate.Signature)):
		return errors.New("intermediate is not signed by the root")
	case !ecc.VerifySignature(ecc.NewDjbECPublicKey([32]byte(intermediate.Key)), chain.Leaf.Details, [64]byte(chain.Leaf.Signature)):
		return errors.New("leaf is not signed by the intermediate")
	case intermediate.GetIssuerSerial() != 0 || leaf.GetIssuerSerial() != intermediate.GetSerial():
		return errors.New("issuer serials do not chain")
	case !slices.Equal(leaf.Key, static):
		return errors.New("leaf is for another key")
	case now < leaf.GetNotBefore() || now > leaf.GetNotAfter() || now < intermediate.GetNotBefore() || now > intermediate.GetNotAfter():
		return errors.New("certificate out of date")
	}
	return nil
}

func (c *bareClient) receive(fs *socket.FrameSocket, data []byte) {
	data, err := binary.Unpack(data)
	if err != nil {
		return
	}
	node, err := binary.Unmarshal(data)
	if err != nil {
		return
	}
	if !c.noAcks && (node.Tag == "receipt" || node.Tag == "notification") {
		attrs := binary.Attrs{"class": node.Tag, "id": node.Attrs["id"], "to": node.Attrs["from"]}
		if kind, found := node.Attrs["type"]; found {
			attrs["type"] = kind
		}
		c.send(binary.Node{Tag: "ack", Attrs: attrs})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frames != fs {
		return // the rest of an earlier connection
	}
	c.got = append(c.got, *node)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *bareClient) send(node binary.Node) {
	data, err := binary.Marshal(node)
	if err == nil {
		err = c.noiseSo.SendFrame(context.Background(), data)
	}
	if err != nil && !errors.Is(err, socket.ErrSocketClosed) {
		c.t.Logf("send: %v", err)
	}
}

// await takes the first stanza received that fits.
func (c *bareClient) await(what string, fits func(binary.Node) bool) binary.Node {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		c.mu.Lock()
		index := slices.IndexFunc(c.got, fits)
		if index >= 0 {
			node := c.got[index]
			c.got = slices.Delete(c.got, index, index+1)
			c.mu.Unlock()
			return node
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(c.t, "nothing came", "waiting for %s", what)
		}
	}
}

func (c *bareClient) awaitTag(tag string) binary.Node {
	c.t.Helper()
	return c.await("<"+tag+">", func(n binary.Node) bool { return n.Tag == tag })
}

func (c *bareClient) awaitClose() {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		c.mu.Lock()
		closed, changed := c.closed, c.changed
		c.mu.Unlock()
		if closed {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(c.t, "the connection stayed open")
		}
	}
}

// login connects and returns the answer to the login.
func (c *bareClient) login() binary.Node {
	c.t.Helper()
	require.NoError(c.t, c.dial())
	return c.await("login answer", func(n binary.Node) bool { return n.Tag == "success" || n.Tag == "failure" })
}

// request sends an <iq> and waits for its answer.
func (c *bareClient) request(kind, xmlns string, content ...binary.Node) binary.Node {
	c.t.Helper()
	c.mu.Lock()
	c.lastID++
	id := fmt.Sprintf("r%d", c.lastID)
	c.mu.Unlock()
	node := binary.Node{Tag: "iq", Attrs: binary.Attrs{"id": id, "type": kind, "xmlns": xmlns, "to": types.ServerJID}}
	if len(content) > 0 {
		node.Content = content
	}
	c.send(node)
	return c.await("answer to "+xmlns, func(n binary.Node) bool { return n.Tag == "iq" && n.Attrs["id"] == id })
}

// online logs in, uploads keys and asks for the queue.
func (c *bareClient) online() *bareClient {
	c.t.Helper()
	answer := c.login()
	require.Equal(c.t, "success", answer.Tag, "%v", answer)
	require.Nil(c.t, answer.Attrs["lid"])
	count := c.request("get", "encrypt", binary.Node{Tag: "count"})
	if count := childOf(count, "count"); atoi(textOf(count.Attrs["value"]), 0) < lowPrekeys {
		require.Equal(c.t, "result", c.upload(c.signal.generate(20)).Attrs["type"])
	}
	require.Equal(c.t, "result", c.request("set", "passive", binary.Node{Tag: "active"}).Attrs["type"])
	return c
}

func (c *bareClient) upload(oneTime []oneTimeKey) binary.Node {
	c.t.Helper()
	k := c.signal.public()
	list := make([]binary.Node, len(oneTime))
	for i, key := range oneTime {
		list[i] = key.node()
	}
	return c.request("set", "encrypt", append(k.nodes(), binary.Node{Tag: "list", Content: list}, k.signed.node())...)
}

func (c *bareClient) disconnect() {
	c.noiseSo.Stop(true, true)
	c.frames.Close(websocket.StatusNormalClosure)
	c.awaitClose()
}

// fetchKeys begins a session with a person.
func (c *bareClient) fetchKeys(p *Person) {
	c.t.Helper()
	answer := c.request("get", "encrypt", binary.Node{Tag: "key", Content: []binary.Node{
		{Tag: "user", Attrs: binary.Attrs{"jid": p.user.lid, "reason": "identity"}}}})
	bundle := childOf(answer, "list", "user")
	k, err := readKeyUpload(bundle)
	require.NoError(c.t, err)
	oneTime, err := readOneTimeKey(childOf(bundle, "key"))
	require.NoError(c.t, err)
	k.oneTime = []oneTimeKey{oneTime}
	require.NoError(c.t, c.signal.startSession(p.user.lid, k))
}

// message encrypts a message to a person.
func (c *bareClient) message(p *Person, id string, plaintext []byte) binary.Node {
	c.t.Helper()
	if !c.signal.hasSession(p.user.lid) {
		c.fetchKeys(p)
	}
	enc, err := c.signal.encrypt(p.user.lid, pad(slices.Clone(plaintext), 0.5))
	require.NoError(c.t, err)
	return binary.Node{Tag: "message", Attrs: binary.Attrs{"id": id, "to": p.user.lid, "type": "text"}, Content: []binary.Node{enc}}
}

// deliver sends a message and returns its acknowledgement.
func (c *bareClient) deliver(node binary.Node) binary.Node {
	c.t.Helper()
	c.send(node)
	return c.await("ack", func(n binary.Node) bool {
		return n.Tag == "ack" && n.Attrs["class"] == "message" && n.Attrs["id"] == node.Attrs["id"]
	})
}

func (c *bareClient) say(p *Person, id, text string) binary.Node {
	c.t.Helper()
	return c.deliver(c.message(p, id, encodeText(text)))
}

// open decrypts a message that came, and sends its delivery receipt.
func (c *bareClient) open(node binary.Node) string {
	c.t.Helper()
	from := node.Attrs["from"].(types.JID)
	padded, err := c.signal.decrypt(from, childOf(node, "enc"))
	require.NoError(c.t, err)
	plaintext, err := unpad(padded)
	require.NoError(c.t, err)
	v, content, err := decodeSubset(plaintext)
	require.NoError(c.t, err)
	c.receipt(node, "")
	if content == "extendedTextMessage" {
		return v.message(content).text("text")
	}
	return v.text(content)
}

func (c *bareClient) receipt(node binary.Node, kind string) {
	attrs := binary.Attrs{"id": node.Attrs["id"], "to": node.Attrs["from"], "sts": node.Attrs["sts"]}
	if kind != "" {
		attrs["type"], attrs["t"] = kind, node.Attrs["t"]
	}
	c.send(binary.Node{Tag: "receipt", Attrs: attrs})
}
