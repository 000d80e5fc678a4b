package meta

import "go.mau.fi/whatsmeow/binary"

func (n *Network) groupRequest(d *device, kind string, node, child binary.Node) ([]binary.Node, int) {
	n.finding("unserved-request", d.text()+": w:g2 "+kind+" "+child.Tag)
	return nil, codeUnserved
}
