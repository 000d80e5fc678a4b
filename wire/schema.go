package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// deepest bounds how deep messages may stand inside messages.
const deepest = 8

// Schema is a closed set of protobuf fields: those that each message type may have,
// and no others, at any depth; none twice, and of members that exclude each other only
// one. Bytes that hold a message of their own are checked apart.
type Schema map[protoreflect.FullName]map[protoreflect.FieldNumber]bool

// Allow adds fields of a message type to the schema.
func (s Schema) Allow(message protoreflect.ProtoMessage, numbers ...protoreflect.FieldNumber) {
	set := make(map[protoreflect.FieldNumber]bool, len(numbers))
	for _, number := range numbers {
		set[number] = true
	}
	s[message.ProtoReflect().Descriptor().FullName()] = set
}

// Check walks the raw tags of an encoded message against the schema. It runs before
// decoding, as a decoded message keeps unknown fields without a word. Errors wrap [ErrContent].
func (s Schema) Check(raw []byte, message protoreflect.ProtoMessage) error {
	if err := s.check(raw, message.ProtoReflect().Descriptor(), 0); err != nil {
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	return nil
}

func (s Schema) check(raw []byte, message protoreflect.MessageDescriptor, depth int) error {
	if depth > deepest {
		return fmt.Errorf("nested too deep")
	}
	allowed := s[message.FullName()]
	seen := make(map[protoreflect.FullName]bool)
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return fmt.Errorf("malformed: %w", protowire.ParseError(n))
		}
		raw = raw[n:]
		size := protowire.ConsumeFieldValue(number, kind, raw)
		if size < 0 {
			return fmt.Errorf("malformed: %w", protowire.ParseError(size))
		}
		value := raw[:size]
		raw = raw[size:]
		field := message.Fields().ByNumber(number)
		if !allowed[number] || !carries(field, kind) {
			return fmt.Errorf("field %d of %s", number, message.Name())
		}
		if field == nil {
			continue
		}
		name := exclusive(field)
		if seen[name] && !field.IsList() {
			return fmt.Errorf("more than one %s", name)
		}
		seen[name] = true
		if field.Kind() == protoreflect.MessageKind {
			inner, _ := protowire.ConsumeBytes(value)
			if err := s.check(inner, field.Message(), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// exclusive is what a field may stand for only once: itself, or the choice that it belongs to.
func exclusive(field protoreflect.FieldDescriptor) protoreflect.FullName {
	if choice := field.ContainingOneof(); choice != nil {
		return choice.FullName()
	}
	return field.FullName()
}

// carries says whether a field is encoded as a wire type; repeated numbers may also be
// packed. A field that is allowed but not described, as the library is older, is a text.
func carries(field protoreflect.FieldDescriptor, kind protowire.Type) bool {
	if field == nil {
		return kind == protowire.BytesType
	}
	wanted := protowire.VarintType
	switch field.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return kind == protowire.BytesType
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		wanted = protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		wanted = protowire.Fixed64Type
	}
	return kind == wanted || (field.IsList() && kind == protowire.BytesType)
}
