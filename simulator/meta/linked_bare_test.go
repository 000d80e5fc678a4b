package meta

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// bareCompanion is a linked device that owes nothing to the library's client: it checks what the library does not, and
// asks for what the library can do without.
type bareCompanion struct {
	*bareClient
	id, lid types.JID
	signed  *waAdv.ADVSignedDeviceIdentity
}

// link pairs a bare client with somebody's phone, checking every signature, and logs it in.
func (w *world) link(p *Person) *bareCompanion {
	w.t.Helper()
	c := &bareCompanion{bareClient: w.stranger("companion")}
	c.header = http.Header{}
	k := c.signal.public()
	c.bareClient.payload = func(payload *waWa6.ClientPayload) {
		hash := md5.Sum([]byte("2.3000.1"))
		proto.Reset(payload)
		payload.UserAgent, payload.Passive, payload.Pull = &waWa6.ClientPayload_UserAgent{}, proto.Bool(false), proto.Bool(false)
		payload.DevicePairingData = &waWa6.ClientPayload_DevicePairingRegistrationData{ERegid: uint32Bytes(k.registration), EKeytype: []byte{5},
			EIdent: k.identity[:], ESkeyID: uint24(k.signed.id), ESkeyVal: k.signed.public[:], ESkeySig: k.signed.signature[:], BuildHash: hash[:]}
	}
	require.NoError(w.t, c.dial())
	offer := c.awaitTag("iq")
	require.Equal(w.t, types.ServerJID, offer.Attrs["from"], "the server's address is encoded as an address")
	require.Len(w.t, offer.GetChildren(), 1)
	offered := childOf(offer, "pair-device")
	refs := offered.GetChildren()
	require.Len(w.t, refs, 6)
	c.send(binary.Node{Tag: "iq", Attrs: binary.Attrs{"to": types.ServerJID, "id": offer.Attrs["id"], "type": "result"}})
	secret := bytes.Repeat([]byte{7}, 32)
	text := base64.StdEncoding.EncodeToString
	scanned := make(chan error, 1)
	go func() {
		_, err := p.ScanQR(w.t.Context(), fmt.Sprintf("%s,%s,%s,%s", refs[0].Content, text(c.noise.Pub[:]), text(k.identity[:]), text(secret)))
		scanned <- err
	}()
	c.sign(c.awaitTag("iq"), secret, p)
	again := c.awaitTag("stream:error")
	require.Equal(w.t, "515", again.Attrs["code"])
	require.NoError(w.t, <-scanned)
	c.disconnect()
	c.bareClient.payload = func(payload *waWa6.ClientPayload) {
		proto.Reset(payload)
		payload.UserAgent, payload.Passive, payload.Pull = &waWa6.ClientPayload_UserAgent{}, proto.Bool(true), proto.Bool(true)
		payload.Username, payload.Device = proto.Uint64(uint64(atoi(c.id.User, 0))), proto.Uint32(uint32(c.id.Device))
	}
	return c
}

// sign checks what the phone signed and signs back.
func (c *bareCompanion) sign(success binary.Node, secret []byte, p *Person) {
	c.t.Helper()
	pair := childOf(success, "pair-success")
	var sealed waAdv.ADVSignedDeviceIdentityHMAC
	var details waAdv.ADVDeviceIdentity
	c.signed = &waAdv.ADVSignedDeviceIdentity{}
	require.NoError(c.t, proto.Unmarshal(childOf(pair, "device-identity").Content.([]byte), &sealed))
	mac := hmac.New(sha256.New, secret)
	mac.Write(sealed.Details)
	require.Equal(c.t, mac.Sum(nil), sealed.HMAC)
	require.NoError(c.t, proto.Unmarshal(sealed.Details, c.signed))
	require.NoError(c.t, proto.Unmarshal(c.signed.Details, &details))
	identity := c.signal.device.IdentityKey
	account := [32]byte(c.signed.AccountSignatureKey)
	require.Equal(c.t, p.user.keys.identity, account, "the phone signs with its own identity")
	require.True(c.t, ecc.VerifySignature(ecc.NewDjbECPublicKey(account), slices.Concat([]byte{6, 0}, c.signed.Details, identity.Pub[:]),
		[64]byte(c.signed.AccountSignature)))
	device := childOf(pair, "device")
	c.id, c.lid = device.Attrs["jid"].(types.JID), device.Attrs["lid"].(types.JID)
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*identity.Priv), slices.Concat([]byte{6, 1}, c.signed.Details, identity.Pub[:], account[:]))
	c.signed.DeviceSignature = signature[:]
	back, _ := proto.Clone(c.signed).(*waAdv.ADVSignedDeviceIdentity)
	back.AccountSignatureKey = nil
	data, err := proto.Marshal(back)
	require.NoError(c.t, err)
	c.send(binary.Node{Tag: "iq", Attrs: binary.Attrs{"to": types.ServerJID, "id": success.Attrs["id"], "type": "result"}, Content: []binary.Node{
		{Tag: "pair-device-sign", Content: []binary.Node{{Tag: "device-identity", Attrs: binary.Attrs{"key-index": int(details.GetKeyIndex())}, Content: data}}}}})
}

// TestAnotherConformingClient proves that the network is no dialect of one library: a bare client links itself, finds answers to
// what other clients ask, and talks by phone number as well as by hidden number.
func TestAnotherConformingClient(t *testing.T) {
	w := newWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.link(anna)
	success := c.login()
	require.Equal(t, "success", success.Tag)
	require.Equal(t, c.lid, success.Attrs["lid"])
	digest := c.request("get", "encrypt", binary.Node{Tag: "digest"})
	require.Equal(t, "404", textOf(childOf(digest, "error").Attrs["code"]), "nothing was uploaded yet")
	require.Equal(t, "result", c.upload(c.signal.generate(20)).Attrs["type"])
	digest = c.request("get", "encrypt", binary.Node{Tag: "digest"})
	listed := childOf(digest, "digest", "list")
	require.InDelta(t, 20, len(listed.GetChildren()), 1, "the phone may have taken one already")
	for _, asked := range [][2]string{{"abt", "props"}, {"privacy", "privacy"}, {"w:p", "ping"}} {
		require.Equal(t, "result", c.request("get", asked[0], binary.Node{Tag: asked[1]}).Attrs["type"], asked[1])
	}
	require.Equal(t, "result", c.request("get", "blocklist").Attrs["type"])
	require.Equal(t, "result", c.request("set", "passive", binary.Node{Tag: "active"}).Attrs["type"])
	for range 2 {
		c.send(binary.Node{Tag: "ib", Content: []binary.Node{{Tag: "unified_session", Attrs: binary.Attrs{"id": "1"}}}})
	}
	c.send(binary.Node{Tag: "presence", Attrs: binary.Attrs{"name": "Anna"}})

	c.checkDeviceList(anna, bob)
	c.checkBundles(anna, bob)
	c.talkByNumber(bob)
}

func (c *bareCompanion) checkDeviceList(anna, bob *Person) {
	c.t.Helper()
	answer := c.request("get", "usync", binary.Node{Tag: "usync", Attrs: binary.Attrs{"sid": "s", "mode": "query", "context": "message", "index": "0", "last": "true"},
		Content: []binary.Node{{Tag: "query", Content: []binary.Node{{Tag: "devices", Attrs: binary.Attrs{"version": "2"}}}},
			{Tag: "list", Content: []binary.Node{{Tag: "user", Attrs: binary.Attrs{"jid": anna.user.pn}}, {Tag: "user", Attrs: binary.Attrs{"jid": bob.user.lid}}}}}})
	list := childOf(answer, "usync", "list")
	users := list.GetChildren()
	require.Len(c.t, users, 2)
	require.Equal(c.t, anna.user.lid, childOf(users[0], "lid").Attrs["val"], "the hidden number is told unasked")
	require.Equal(c.t, bob.user.lid, childOf(users[1], "lid").Attrs["val"])
	own := childOf(users[0], "devices", "device-list")
	require.Len(c.t, own.GetChildren(), 2)
	for _, device := range own.GetChildren() {
		require.NotNil(c.t, device.Attrs["key-index"])
	}
	var indexes waAdv.ADVSignedKeyIndexList
	var details waAdv.ADVKeyIndexList
	require.NoError(c.t, proto.Unmarshal(childOf(users[0], "devices", "key-index-list").Content.([]byte), &indexes))
	require.True(c.t, ecc.VerifySignature(ecc.NewDjbECPublicKey(anna.user.keys.identity), slices.Concat([]byte{6, 2}, indexes.Details), [64]byte(indexes.AccountSignature)))
	require.NoError(c.t, proto.Unmarshal(indexes.Details, &details))
	require.Equal(c.t, []uint32{0, 1}, details.ValidIndexes)
}

func (c *bareCompanion) checkBundles(anna, bob *Person) {
	c.t.Helper()
	asked := []types.JID{bob.user.pn, types.NewJID("1", types.HiddenUserServer), bob.user.lid, anna.user.lid}
	var nodes []binary.Node
	for _, jid := range asked {
		nodes = append(nodes, binary.Node{Tag: "user", Attrs: binary.Attrs{"jid": jid}})
	}
	answer := childOf(c.request("get", "encrypt", binary.Node{Tag: "key", Content: nodes}), "list")
	for i, user := range answer.GetChildren() {
		require.Equal(c.t, asked[i], user.Attrs["jid"], "the very address that was asked")
		_, failed := user.GetOptionalChildByTag("error")
		require.Equal(c.t, i == 1, failed, "one error does not spoil the rest")
	}
}

// talkByNumber writes by phone number, own device included, and is answered by phone number.
func (c *bareCompanion) talkByNumber(bob *Person) {
	c.t.Helper()
	answer := c.request("get", "encrypt", binary.Node{Tag: "key", Content: []binary.Node{{Tag: "user", Attrs: binary.Attrs{"jid": bob.user.pn}}}})
	bundle := childOf(answer, "list", "user")
	k, err := readKeyUpload(bundle)
	require.NoError(c.t, err)
	require.NoError(c.t, c.signal.startSession(bob.user.lid, k))
	plaintext, err := proto.Marshal(&waE2E.Message{Conversation: proto.String("by number")})
	require.NoError(c.t, err)
	enc, err := c.signal.encrypt(bob.user.lid, pad(plaintext, 0.5))
	require.NoError(c.t, err)
	identity, err := proto.Marshal(c.signed)
	require.NoError(c.t, err)
	ack := c.deliver(binary.Node{Tag: "message", Attrs: binary.Attrs{"id": "BARE1", "to": bob.user.pn, "type": "text"}, Content: []binary.Node{
		{Tag: "participants", Content: []binary.Node{{Tag: "to", Attrs: binary.Attrs{"jid": bob.user.pn}, Content: []binary.Node{enc}},
			{Tag: "to", Attrs: binary.Attrs{"jid": c.id}, Content: []binary.Node{enc}}}}, {Tag: "device-identity", Content: identity}}})
	require.Nil(c.t, ack.Attrs["error"])
	require.NotNil(c.t, ack.Attrs["phash"], "the own phone was left out")
	h, err := bob.Hears(within(c.t))
	require.NoError(c.t, err)
	require.Equal(c.t, "by number", h.Text)

	_, err = bob.SendMessage(jidText(c.id.ToNonAD()), &waE2E.Message{Conversation: proto.String("likewise")})
	require.NoError(c.t, err)
	node := c.await("Bob's message", func(n binary.Node) bool { return n.Tag == "message" && n.Attrs["category"] == nil })
	require.Equal(c.t, bob.user.pn, node.Attrs["from"])
	require.Equal(c.t, bob.user.lid, node.Attrs["sender_lid"])
	padded, err := c.signal.decrypt(bob.user.lid, childOf(node, "enc"))
	require.NoError(c.t, err)
	opened, err := unpad(padded)
	require.NoError(c.t, err)
	var m waE2E.Message
	require.NoError(c.t, proto.Unmarshal(opened, &m))
	require.Equal(c.t, "likewise", m.GetConversation())
}

// TestWhatLinkedDevicesMustNotDo expects each wrong stanza to be refused and found.
func TestWhatLinkedDevicesMustNotDo(t *testing.T) {
	w := newWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.link(anna)
	require.Equal(t, "success", c.login().Tag)
	require.Equal(t, "result", c.upload(c.signal.generate(20)).Attrs["type"])
	enc := binary.Node{Tag: "enc", Attrs: binary.Attrs{"v": "2", "type": "msg"}, Content: []byte("x")}
	to := func(jid types.JID) binary.Node {
		return binary.Node{Tag: "participants", Content: []binary.Node{{Tag: "to", Attrs: binary.Attrs{"jid": jid}, Content: []binary.Node{enc}}}}
	}
	for kind, node := range map[string]binary.Node{
		"bad-message-type":    {Attrs: binary.Attrs{"to": bob.user.lid, "type": "song"}, Content: []binary.Node{to(bob.user.lid)}},
		"bad-message-shape":   {Attrs: binary.Attrs{"to": bob.user.lid, "type": "text"}, Content: []binary.Node{enc}},
		"peer-to-stranger":    {Attrs: binary.Attrs{"to": bob.user.pn, "type": "text", "category": "peer"}, Content: []binary.Node{enc}},
		"foreign-participant": {Attrs: binary.Attrs{"to": anna.user.lid, "type": "text"}, Content: []binary.Node{to(bob.user.lid)}},
	} {
		w.ExpectFinding(kind)
		node.Tag, node.Attrs["id"] = "message", "id-"+kind
		ack := c.deliver(node)
		require.Equal(t, kind != "foreign-participant", ack.Attrs["error"] != nil, kind)
		require.True(t, slices.ContainsFunc(w.Findings(), func(f Finding) bool { return f.Kind == kind }), kind)
	}
	w.ExpectFinding("unserved-request")
	require.Equal(t, "501", textOf(childOf(c.request("get", "w:unheard-of", binary.Node{Tag: "thing"}), "error").Attrs["code"]))
	w.ExpectFinding("string-jid")
	ack := c.deliver(binary.Node{Tag: "message", Attrs: binary.Attrs{"id": "text", "to": "text@lid", "type": "text"}, Content: []binary.Node{to(bob.user.lid)}})
	require.NotNil(t, ack.Attrs["error"])
	w.ExpectFinding("keys-not-linked")
	other := newSignalStore(9).public()
	foreign := other.nodes()
	refused := c.request("set", "encrypt", append(foreign, binary.Node{Tag: "list"}, other.signed.node())...)
	require.Equal(t, "error", refused.Attrs["type"])
	w.ExpectFinding("bad-app-state")
	w.mu.Lock()
	version := anna.user.state.collections["regular"].Version
	w.mu.Unlock()
	answer := c.request("set", "w:sync:app:state", binary.Node{Tag: "sync", Content: []binary.Node{{Tag: "collection",
		Attrs: binary.Attrs{"name": "regular", "version": int(version)}, Content: []binary.Node{{Tag: "patch", Content: []byte("nonsense")}}}}})
	require.Equal(t, "error", childOf(answer, "sync", "collection").Attrs["type"])

	c.disconnect()
	stolen := w.stranger("thief")
	stolen.header, stolen.payload = http.Header{}, c.bareClient.payload
	refusal := stolen.login()
	require.Equal(t, "failure", refusal.Tag, "another Noise key is not the device")
	require.Equal(t, "401", textOf(refusal.Attrs["reason"]))
}
