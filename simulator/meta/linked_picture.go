package meta

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// picture is somebody's or a group's picture.
type picture struct {
	id   string
	data []byte
}

// codeNotAcceptable is for content that is not what it should be, such as a picture that is no JPEG.
const codeNotAcceptable = 406

// pictureRequest shows or changes the picture of a person or a group.
func (n *Network) pictureRequest(d *device, kind string, node, child binary.Node) ([]binary.Node, int) {
	target, _ := node.Attrs["target"].(types.JID)
	n.mu.Lock()
	defer n.mu.Unlock()
	if kind == "set" {
		return n.setPictureRequest(d, target, child)
	}
	if child.Tag != "picture" {
		return nil, codeMalformed
	}
	var found *picture
	if target.Server == types.GroupServer {
		g := n.groups[target.User]
		switch {
		case g == nil:
			return nil, codeNotFound
		case g.member(d.companion.owner) == nil:
			return nil, codeNotAuthorized
		}
		found = g.picture
	} else {
		u := n.userAt(target)
		switch {
		case u == nil:
			return nil, codeNotFound
		case u != d.companion.owner && u.privacy["profile"] == "none":
			return nil, codeNotAuthorized
		}
		found = u.picture
	}
	switch {
	case found == nil:
		return nil, codeNotFound
	case attrText(child, "id") == found.id:
		return []binary.Node{{Tag: "picture", Attrs: binary.Attrs{"status": "304"}}}, 0
	}
	path := "/pps/" + found.id + ".jpg?oh=" + found.id
	return []binary.Node{{Tag: "picture", Attrs: binary.Attrs{"id": found.id, "type": orElse(attrText(child, "type"), "image"),
		"url": "https://" + n.tlsAddr + path, "direct_path": path, "hash": base64.StdEncoding.EncodeToString(sumOf(found.data))}}}, 0
}

// setPictureRequest changes the account's own picture, or a group's. The model must be locked.
func (n *Network) setPictureRequest(d *device, target types.JID, child binary.Node) ([]binary.Node, int) {
	data, _ := child.Content.([]byte)
	if child.Tag == "picture" && !isJPEG(data) {
		return nil, codeNotAcceptable
	}
	owner := d.companion.owner
	var changed *picture
	if child.Tag == "picture" {
		changed = n.newPicture(data)
	}
	if target.Server == types.GroupServer {
		g := n.groups[target.User]
		if code := g.mayChange(owner, g != nil && g.locked); code != 0 {
			return nil, code
		}
		g.picture = changed
		n.groupPictureChanged(g, owner)
	} else if target.User != "" && n.userAt(target) != owner {
		return nil, codeForbidden
	} else {
		n.setUserPicture(owner, changed)
	}
	if changed == nil {
		return nil, 0
	}
	return []binary.Node{{Tag: "picture", Attrs: binary.Attrs{"id": changed.id}}}, 0
}

func isJPEG(data []byte) bool { return bytes.HasPrefix(data, []byte{0xff, 0xd8, 0xff}) }

// newPicture gives a picture its id. The model must be locked.
func (n *Network) newPicture(data []byte) *picture {
	n.lastNotice++
	p := &picture{id: strconv.Itoa(1_000_000_000 + n.lastNotice), data: data}
	n.pictures[p.id] = data
	return p
}

// setUserPicture changes somebody's picture and tells those who know the person. The model must be locked.
func (n *Network) setUserPicture(u *user, p *picture) {
	u.picture = p
	change := binary.Node{Tag: "delete", Attrs: binary.Attrs{"jid": u.pn, "hash": "none"}}
	if p != nil {
		change = binary.Node{Tag: "set", Attrs: binary.Attrs{"jid": u.pn, "id": p.id, "author": u.pn}}
	}
	n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": u.pn, "type": "picture", "id": fmt.Sprintf("picture-%d", n.lastNotice),
		"t": n.stamp("picture").seconds()}, Content: []binary.Node{change}}
	for _, d := range n.companionsAnywhere() {
		if d.companion.owner == u || d.companion.knows[u] {
			n.enqueue(d, notice)
		}
	}
}

// servePicture answers the download of a picture, which is not encrypted.
func (n *Network) servePicture(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimSuffix(r.PathValue("name"), ".jpg")
	n.mu.Lock()
	data, found := n.pictures[id]
	n.mu.Unlock()
	if !found || r.URL.Query().Get("oh") != id {
		http.Error(w, "", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// SetPicture changes the person's picture, a JPEG; nil removes it.
func (p *Person) SetPicture(jpeg []byte) error {
	if jpeg != nil && !isJPEG(jpeg) {
		return fmt.Errorf("a picture has to be a JPEG: %w", errRefused)
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	var changed *picture
	if jpeg != nil {
		changed = p.n.newPicture(jpeg)
	}
	p.n.setUserPicture(p.user, changed)
	return nil
}

// SetAbout changes the person's status text, and tells those who know the person.
func (p *Person) SetAbout(text string) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.about, p.user.aboutSet = text, p.n.now()
	p.n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": p.user.pn, "type": "status", "id": fmt.Sprintf("about-%d", p.n.lastNotice),
		"t": p.n.stamp("about").seconds()}, Content: []binary.Node{{Tag: "set", Content: []byte(text)}}}
	for _, d := range p.n.companionsAnywhere() {
		if d.companion.knows[p.user] {
			p.n.enqueue(d, notice)
		}
	}
}

// Rename changes the name that goes with what the person writes from now on.
func (p *Person) Rename(name string) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.pushName = name
}

// pushName is the name that goes with what a device sends. The model must be locked.
func (p party) pushName() string {
	if d := p.user.companions[p.number]; d != nil && d.companion.pushName != "" {
		return d.companion.pushName
	}
	return orElse(p.user.pushName, p.user.name)
}
