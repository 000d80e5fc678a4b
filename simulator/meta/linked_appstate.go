package meta

import (
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waServerSync"
	"google.golang.org/protobuf/proto"

	"causeway/simulator/meta/appstate"
)

// This file is the server's part in the state that the devices of an account share: it keeps
// the patches and passes them on. What the real server cannot check, the phone of the account does at once.

// FaultAppState spoils what a device is given of the account's state, so that it does not fit its hash; Params["name"]
// restricts it to a collection.
const FaultAppState FaultKind = "app_state_mismatch"

// collectionNames are the collections of an account.
func collectionNames() []string {
	return []string{"critical_block", "critical_unblock_low", "regular_high", "regular", "regular_low"}
}

// maxPatches is how many patches one answer holds.
const maxPatches = 100

// accountState is what the devices of an account share. The model's lock guards it.
type accountState struct {
	keys        []*appstate.Key
	collections map[string]*appstate.Collection
}

// newAccountState is the state of an account before anything was set.
func newAccountState() *accountState {
	s := &accountState{collections: map[string]*appstate.Collection{}}
	for _, name := range collectionNames() {
		s.collections[name] = appstate.NewCollection(name)
	}
	return s
}

// key finds a key by its id, nil if there is none.
func (s *accountState) key(id []byte) *appstate.Key {
	if i := slices.IndexFunc(s.keys, func(k *appstate.Key) bool { return slices.Equal(k.ID, id) }); i >= 0 {
		return s.keys[i]
	}
	return nil
}

// appStateRequest hands out what changed and takes what a device changes.
func (n *Network) appStateRequest(d *device, kind string, child binary.Node) ([]binary.Node, int) {
	if kind != "set" || child.Tag != "sync" {
		n.finding("unserved-request", d.text()+": w:sync:app:state "+kind+" "+child.Tag)
		return nil, codeUnserved
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var answers []binary.Node
	for _, asked := range child.GetChildren() {
		c := d.companion.owner.state.collections[attrText(asked, "name")]
		if c == nil || asked.Tag != "collection" {
			return nil, codeMalformed
		}
		answer, err := n.collectionRequest(d, c, asked)
		if err != nil {
			n.cfg.logf("simulator: failed to answer about %s: %v", c.Name, err)
			return nil, failServer
		}
		answers = append(answers, answer)
	}
	return []binary.Node{{Tag: "sync", Content: answers}}, 0
}

// collectionRequest answers about one collection. The model must be locked.
func (n *Network) collectionRequest(d *device, c *appstate.Collection, asked binary.Node) (binary.Node, error) {
	version := uint64(max(0, atoi(textOf(asked.Attrs["version"]), 0)))
	answer := binary.Node{Tag: "collection", Attrs: binary.Attrs{"name": c.Name}}
	conflict := false
	if patch, found := asked.GetOptionalChildByTag("patch"); found {
		data, _ := patch.Content.([]byte)
		if conflict = version != c.Version; !conflict {
			if err := n.takePatch(d, c, data); err != nil {
				n.finding("bad-app-state", fmt.Sprintf("%s: %s: %v", d.text(), c.Name, err))
				answer.Attrs["type"] = "error"
				answer.Content = []binary.Node{errorNode(codeMalformed)}
				return answer, nil
			}
			version = c.Version
		}
	}
	answer.Attrs["version"] = c.Version
	if textOf(asked.Attrs["return_snapshot"]) == "true" {
		if c.Version == 0 {
			return answer, nil
		}
		snapshot, err := n.snapshotNode(d, c)
		answer.Content = []binary.Node{snapshot}
		return answer, err
	}
	patches, more := c.Since(version, maxPatches)
	if more {
		answer.Attrs["has_more_patches"] = "true"
	}
	if conflict {
		answer.Attrs["type"] = "error"
		answer.Content = []binary.Node{errorNode(codeConflict)}
	}
	if len(patches) > 0 {
		answer.Content = append(answer.GetChildren(), binary.Node{Tag: "patches", Content: n.patchNodes(d, c, patches)})
	}
	return answer, nil
}

func (n *Network) patchNodes(d *device, c *appstate.Collection, patches [][]byte) []binary.Node {
	spoilt := n.spoilsState(d, c.Name)
	var nodes []binary.Node
	for _, data := range patches {
		if spoilt {
			p := &waServerSync.SyncdPatch{}
			if err := proto.Unmarshal(data, p); err == nil {
				p.SnapshotMAC[3] ^= 0xff
				data, _ = proto.Marshal(p) // what was read can be written
			}
		}
		nodes = append(nodes, binary.Node{Tag: "patch", Content: data})
	}
	return nodes
}

func (n *Network) spoilsState(d *device, name string) bool {
	return n.strikesIf(FaultAppState, about("iq", "w:sync:app:state", d.text(), jidText(d.companion.owner.lid)),
		func(f Fault) bool { return f.Params["name"] == "" || f.Params["name"] == name })
}

// snapshotNode puts everything that is set into a file on the media host, and tells where it is. The model must be locked.
func (n *Network) snapshotNode(d *device, c *appstate.Collection) (binary.Node, error) {
	keys := d.companion.owner.state.keys
	data, err := c.Snapshot(keys[len(keys)-1])
	if err != nil {
		return binary.Node{}, err
	}
	if n.spoilsState(d, c.Name) {
		snapshot := &waServerSync.SyncdSnapshot{}
		if err = proto.Unmarshal(data, snapshot); err != nil {
			return binary.Node{}, err
		}
		snapshot.Mac[3] ^= 0xff
		if data, err = proto.Marshal(snapshot); err != nil {
			return binary.Node{}, err
		}
	}
	file, err := sealFile(data, "app-state")
	if err != nil {
		return binary.Node{}, err
	}
	reference, err := proto.Marshal(&waServerSync.ExternalBlobReference{MediaKey: file.key, DirectPath: proto.String(n.PutMedia(file.blob)),
		FileSizeBytes: proto.Uint64(uint64(len(data))), FileSHA256: file.plainSum, FileEncSHA256: file.encSum})
	return binary.Node{Tag: "snapshot", Content: reference}, err
}

// takePatch lets the phone check a device's patch, and tells the other devices. The model must be locked.
func (n *Network) takePatch(d *device, c *appstate.Collection, data []byte) error {
	u := d.companion.owner
	if _, err := c.Take(data, u.state.key); err != nil {
		return err
	}
	n.tellState(u, c, d)
	return nil
}

// tellState tells the devices of an account that a collection has a new version. The model must be locked.
func (n *Network) tellState(u *user, c *appstate.Collection, except *device) {
	n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": u.pn, "type": "server_sync", "id": fmt.Sprintf("state-%d", n.lastNotice),
		"t": n.stamp("state").seconds()}, Content: []binary.Node{{Tag: "collection", Attrs: binary.Attrs{"name": c.Name, "version": c.Version}}}}
	for _, other := range u.linked() {
		if other != except {
			n.enqueue(other, notice)
		}
	}
	u.phone.post(notice)
}
