package meta

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// encode is the inverse of decode: fields in the order of their numbers. A name that
// the schema does not have is left out.
func (s *schema) encode(v value) (out []byte) {
	for _, number := range slices.Sorted(maps.Keys(s.fields)) {
		f := s.fields[number]
		switch content := v[f.name].(type) {
		case string:
			out = appendField(out, number, []byte(content))
		case []byte:
			out = appendField(out, number, content)
		case uint64:
			out = protowire.AppendVarint(protowire.AppendTag(out, number, protowire.VarintType), content)
		case uint32:
			out = protowire.AppendFixed32(protowire.AppendTag(out, number, protowire.Fixed32Type), content)
		case value:
			out = appendField(out, number, f.inner.encode(content))
		}
	}
	return out
}

// numbered is a field with its number.
type numbered struct {
	field
	number protowire.Number
}

// member finds a field by name.
func (s *schema) member(name string) numbered {
	for number, f := range s.fields {
		if f.name == name {
			return numbered{f, number}
		}
	}
	return numbered{}
}
