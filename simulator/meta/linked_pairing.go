package meta

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	xml "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is the server's part in linking a device: what it offers to be scanned,
// and what it demands before the device exists (docs/protocol.md#linked).

// A client gets six codes to show, the first for a minute and each of the others for 20 s.
const (
	pairingRefs     = 6
	firstRefLife    = time.Minute
	laterRefLife    = 20 * time.Second
	pairDeviceStep  = "pair-device"
	pairSuccessStep = "pair-success"
)

// pairing is a connection that wants to become a linked device. The model's lock guards it.
type pairing struct {
	c        *connection
	refs     []pairingRef
	static   [32]byte
	keys     publicKeys
	pushName string
	platform string
	scan     *scan
	code     *linkCode
}

type pairingRef struct {
	text    string
	expires time.Time
}

// scan is a phone's attempt to link the device of a pairing.
type scan struct {
	by     *Person
	number uint16
	index  uint32
	signed *waAdv.ADVSignedDeviceIdentity
	done   chan error // gets the one outcome
}

// beginPairing lets a client that is no device yet show codes.
func (n *Network) beginPairing(c *connection, payload *waWa6.ClientPayload, static [32]byte) {
	p := &pairing{c: c, static: static, pushName: payload.GetPushName()}
	var problem string
	if p.keys, problem = readPairingData(payload.GetDevicePairingData()); problem != "" || payload.GetPassive() || payload.GetPull() {
		n.finding("bad-pairing-payload", fmt.Sprintf("connection #%d: %s", c.id, orElse(problem, "passive or pull is set")))
		c.fail(failMalformed, nil)
		return
	}
	var props waCompanionReg.DeviceProps
	if err := proto.Unmarshal(payload.GetDevicePairingData().GetDeviceProps(), &props); err == nil {
		p.platform = orElse(props.GetOs(), props.GetPlatformType().String())
	}
	expires := n.now().Add(firstRefLife)
	nodes := make([]xml.Node, pairingRefs)
	for i := range nodes {
		var random [24]byte
		_, _ = rand.Read(random[:]) // never fails
		ref := "2@" + base64.RawURLEncoding.EncodeToString(random[:])
		p.refs = append(p.refs, pairingRef{ref, expires})
		nodes[i] = xml.Node{Tag: "ref", Content: []byte(ref)}
		expires = expires.Add(laterRefLife)
	}
	n.mu.Lock()
	c.pairing = p
	n.mu.Unlock()
	c.send(xml.Node{Tag: "iq", Attrs: xml.Attrs{"from": types.ServerJID, "id": pairDeviceStep, "type": "set", "xmlns": "md"},
		Content: []xml.Node{{Tag: "pair-device", Content: nodes}}})
	timer := time.AfterFunc(firstRefLife+(pairingRefs-1)*laterRefLife, func() {
		n.mu.Lock()
		waits := c.pairing == p && p.scan == nil
		n.mu.Unlock()
		if waits {
			c.close()
		}
	})
	go func() { <-c.ctx.Done(); timer.Stop() }()
}

// readPairingData reads the keys that a new device brings, and says what is wrong with them.
func readPairingData(data *waWa6.ClientPayload_DevicePairingRegistrationData) (k publicKeys, problem string) {
	switch {
	case len(data.GetERegid()) != 4 || len(data.GetEIdent()) != 32 || len(data.GetESkeyID()) != 3 ||
		len(data.GetESkeyVal()) != 32 || len(data.GetESkeySig()) != 64:
		return k, "a key has a wrong length"
	case len(data.GetEKeytype()) != 1 || data.GetEKeytype()[0] != 5:
		return k, "key type is not 5"
	case len(data.GetBuildHash()) != 16:
		return k, "no build hash"
	}
	k = publicKeys{registration: binary.BigEndian.Uint32(data.ERegid), identity: [32]byte(data.EIdent), signed: signedKey{
		id: binary.BigEndian.Uint32(append([]byte{0}, data.ESkeyID...)), public: [32]byte(data.ESkeyVal), signature: [64]byte(data.ESkeySig)}}
	if !k.signed.signedBy(k.identity) {
		return k, "the signed prekey is not signed by the identity"
	}
	return k, ""
}

// fromPairing takes a stanza of a client that is not a device yet.
func (n *Network) fromPairing(c *connection, p *pairing, node xml.Node) {
	kind, _ := node.Attrs["type"].(string)
	xmlns, _ := node.Attrs["xmlns"].(string)
	child := firstChild(node)
	switch {
	case node.Tag == "ib" || node.Tag == "ack" || node.Tag == "presence":
	case node.Tag == "iq" && node.Attrs["id"] == pairDeviceStep && kind == "result":
	case node.Tag == "iq" && node.Attrs["id"] == pairSuccessStep:
		n.pairSigned(c, p, kind, child)
	case node.Tag == "iq" && kind == "get" && xmlns == "w:p":
		c.send(requestResult(node))
	case node.Tag == "iq" && kind == "set" && xmlns == "md" && child.Tag == "link_code_companion_reg":
		n.linkCodeRequest(c, p, node, child)
	default:
		n.finding("unserved-while-pairing", fmt.Sprintf("connection #%d: <%s type=%s xmlns=%s><%s>", c.id, node.Tag, kind, xmlns, child.Tag))
		n.refuse(c, node, codeUnserved)
	}
}

func firstChild(node xml.Node) xml.Node {
	if children := node.GetChildren(); len(children) > 0 {
		return children[0]
	}
	return xml.Node{}
}

// sendPairSuccess hands the phone's signature to the client.
func (n *Network) sendPairSuccess(p *pairing, s *scan, container []byte) error {
	props, err := proto.Marshal(&waCompanionReg.ClientPairingProps{IsChatDbLidMigrated: proto.Bool(true)})
	if err != nil {
		return fmt.Errorf("failed to write the pairing's properties: %w", err)
	}
	u := s.by.user
	p.c.send(xml.Node{Tag: "iq", Attrs: xml.Attrs{"from": types.ServerJID, "id": pairSuccessStep, "type": "set", "xmlns": "md",
		"t": n.now().Unix()}, Content: []xml.Node{{Tag: "pair-success", Content: []xml.Node{
		{Tag: "device-identity", Content: container},
		{Tag: "device", Attrs: xml.Attrs{"jid": withDevice(u.pn, s.number), "lid": withDevice(u.lid, s.number)}},
		{Tag: "platform", Attrs: xml.Attrs{"name": "android"}},
		{Tag: "client-props", Content: props},
	}}}})
	return nil
}

// pairSigned takes the client's own signature; with it the device exists.
func (n *Network) pairSigned(c *connection, p *pairing, kind string, child xml.Node) {
	n.mu.Lock()
	s := p.scan
	n.mu.Unlock()
	if s == nil {
		n.finding("pair-sign-unasked", fmt.Sprintf("connection #%d", c.id))
		return
	}
	if kind != "result" {
		s.done <- fmt.Errorf("the device refused to be linked with code %v", child.Attrs["code"])
		n.detach(c)
		return
	}
	err := n.checkPairSign(p, s, child)
	if err != nil {
		n.finding("bad-device-signature", fmt.Sprintf("connection #%d: %v", c.id, err))
		c.fail(failWithdrawn, nil)
		s.done <- err
		return
	}
	n.mu.Lock()
	n.addCompanion(p, s)
	n.mu.Unlock()
	s.done <- nil
	c.finish(xml.Node{Tag: "stream:error", Attrs: xml.Attrs{"code": drop515}})
}

// checkPairSign verifies what the client signed, and completes it by the account key that it left out.
func (n *Network) checkPairSign(p *pairing, s *scan, child xml.Node) error {
	identity := childOf(child, "device-identity")
	data, _ := identity.Content.([]byte)
	var signed waAdv.ADVSignedDeviceIdentity
	if err := proto.Unmarshal(data, &signed); err != nil || child.Tag != "pair-device-sign" {
		return fmt.Errorf("no signed identity: %w", errADV)
	}
	if textOf(identity.Attrs["key-index"]) != strconv.Itoa(int(s.index)) {
		return fmt.Errorf("key index %v, expected %d: %w", identity.Attrs["key-index"], s.index, errADV)
	}
	if !slices.Equal(signed.Details, s.signed.Details) || !slices.Equal(signed.AccountSignature, s.signed.AccountSignature) {
		return fmt.Errorf("not what the phone signed: %w", errADV)
	}
	s.signed.DeviceSignature = signed.DeviceSignature
	return checkDevice(s.signed, [32]byte(s.signed.AccountSignatureKey), p.keys.identity)
}

// addCompanion puts a linked device on record. The model must be locked.
func (n *Network) addCompanion(p *pairing, s *scan) {
	u := s.by.user
	identity, err := proto.Marshal(s.signed)
	if err != nil {
		n.cfg.logf("simulator: failed to write a device's identity: %v", err)
	}
	d := &device{jid: withDevice(u.pn, s.number), product: productWhatsApp, keys: p.keys, flight: map[string]*queued{},
		companion: &companion{owner: u, noise: p.static, keyIndex: s.index, identity: identity, platform: p.platform,
			since: n.now(), knows: map[*user]bool{}}}
	u.companions[s.number] = d
}
