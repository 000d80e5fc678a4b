package meta

import "go.mau.fi/whatsmeow/binary"

// picture is somebody's or a group's picture.
type picture struct {
	id   string
	data []byte
	path string
}

func (n *Network) pictureRequest(d *device, kind string, node, child binary.Node) ([]binary.Node, int) {
	return nil, codeNotFound
}
