package meta

import "go.mau.fi/whatsmeow/binary"

func (n *Network) appStateRequest(d *device, kind string, child binary.Node) ([]binary.Node, int) {
	n.finding("unserved-request", d.text()+": app state")
	return nil, codeUnserved
}
