package linked

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"causeway/network"
)

// protoReader reads the fields of a protobuf message from a stream, so that a large one is never held whole.
type protoReader struct {
	from *bufio.Reader
	// left is how many bytes the message still has, or may still have.
	left int64
	// open says that left is a limit and not a length: the message ends where the stream does.
	open bool
}

func newProtoReader(from io.Reader, limit int64) *protoReader {
	return &protoReader{from: bufio.NewReaderSize(from, 64<<10), left: limit, open: true}
}

// next reads the head of the next field; io.EOF at the end. Of a field with a length, the length is given.
func (p *protoReader) next() (number protowire.Number, kind protowire.Type, length int64, err error) {
	if !p.open && p.left == 0 {
		return 0, 0, 0, io.EOF
	}
	tag, err := p.varint()
	if err != nil {
		return 0, 0, 0, err
	}
	number, kind = protowire.DecodeTag(tag)
	switch kind {
	case protowire.VarintType:
		return number, kind, 0, nil
	case protowire.Fixed32Type:
		return number, kind, 4, nil
	case protowire.Fixed64Type:
		return number, kind, 8, nil
	case protowire.BytesType:
		size, err := p.varint()
		if err != nil {
			return 0, 0, 0, inside(err)
		}
		if size > uint64(p.left) {
			return 0, 0, 0, p.tooLong()
		}
		return number, kind, int64(size), nil
	}
	return 0, 0, 0, errBroken
}

// tooLong is the error of a field that is longer than what is left.
func (p *protoReader) tooLong() error {
	if p.open {
		return fmt.Errorf("%w: more than it may inflate to", network.ErrTooLarge)
	}
	return errBroken
}

// inside is the error of an end within a field.
func inside(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errBroken
	}
	return err
}

func (p *protoReader) varint() (uint64, error) {
	before := int64(0)
	value, err := binary.ReadUvarint(countingByteReader{p, &before})
	if err != nil {
		if before > 0 || !errors.Is(err, io.EOF) {
			return 0, inside(err)
		}
		return 0, err
	}
	return value, nil
}

// countingByteReader reads single bytes of a message.
type countingByteReader struct {
	p    *protoReader
	read *int64
}

func (c countingByteReader) ReadByte() (byte, error) {
	if c.p.left <= 0 {
		return 0, c.p.tooLong()
	}
	b, err := c.p.from.ReadByte()
	if err == nil {
		c.p.left--
		*c.read++
	}
	return b, err
}

// bytes reads the content of a field that has a length, up to a limit.
func (p *protoReader) bytes(length, limit int64) ([]byte, error) {
	if length > p.left {
		return nil, p.tooLong()
	} else if length > limit {
		return nil, fmt.Errorf("%w: a field of %d bytes", network.ErrTooLarge, length)
	}
	content := make([]byte, length)
	n, err := io.ReadFull(p.from, content)
	p.left -= int64(n)
	if err != nil {
		return nil, inside(err)
	}
	return content, nil
}

// skip passes over the content of a field.
func (p *protoReader) skip(kind protowire.Type, length int64) error {
	if kind == protowire.VarintType {
		_, err := p.varint()
		return inside(err)
	}
	if length > p.left {
		return p.tooLong()
	}
	n, err := io.CopyN(io.Discard, p.from, length)
	p.left -= n
	return inside(err)
}

// raw reads a whole field, head included, up to a limit.
func (p *protoReader) raw(number protowire.Number, kind protowire.Type, length, limit int64) ([]byte, error) {
	head := protowire.AppendTag(nil, number, kind)
	if kind == protowire.VarintType {
		value, err := p.varint()
		return protowire.AppendVarint(head, value), inside(err)
	}
	if kind == protowire.BytesType {
		head = protowire.AppendVarint(head, uint64(length))
	}
	content, err := p.bytes(length, limit)
	return append(head, content...), err
}

// within reads a message that is the content of a field; what of it was not read is passed over.
func (p *protoReader) within(length int64, read func(*protoReader) error) error {
	if length > p.left {
		return p.tooLong()
	}
	inner := &protoReader{from: p.from, left: length}
	err := read(inner)
	p.left -= length - inner.left
	if err != nil {
		return err
	}
	return p.skip(protowire.BytesType, inner.left)
}
