package whatsapp

import (
	"fmt"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"causeway/wire"
)

// deepestQuote bounds how deep messages may stand inside messages.
const deepestQuote = 4

// fields are the numbers that a message type may carry in third-party chats.
type fields map[protoreflect.FieldNumber]bool

// subset is the closed schema of third-party chats: the fields of each message
// type that may occur, and no others, at any depth (docs/protocol.md#subset).
func subset() map[protoreflect.FullName]fields {
	table := make(map[protoreflect.FullName]fields)
	allow := func(message protoreflect.ProtoMessage, numbers ...protoreflect.FieldNumber) {
		set := make(fields, len(numbers))
		for _, number := range numbers {
			set[number] = true
		}
		table[message.ProtoReflect().Descriptor().FullName()] = set
	}
	allow(&waE2E.Message{}, 1, 2, 3, 6, 7, 8, 9, 46, 66)
	allow(&waE2E.SenderKeyDistributionMessage{}, 1, 2)
	allow(&waE2E.ImageMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 17, 20, 21, 22, 23, 24, 26, 27, 28)
	allow(&waE2E.VideoMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16, 18, 19, 21, 22, 23)
	allow(&waE2E.AudioMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 19, 20)
	allow(&waE2E.DocumentMessage{}, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20)
	allow(&waE2E.ExtendedTextMessage{}, 1, 2, 4, 5, 6, 7, 8, 10, 16, 17)
	allow(&waE2E.ContextInfo{}, 1, 2, 3)
	reaction := &waE2E.ReactionMessage{}
	allow(reaction, 1, 2, 3, 4)
	key := reaction.ProtoReflect().Descriptor().Fields().ByNumber(1).Message()
	table[key.FullName()] = fields{1: true, 2: true, 3: true, 4: true}
	return table
}

// checkSubset walks the raw tags of a plaintext against the closed schema. It runs
// before decoding, as a decoded message keeps unknown fields without a word.
func checkSubset(plaintext []byte) error {
	walk := walker{subset()}
	message := (&waE2E.Message{}).ProtoReflect().Descriptor()
	if err := walk.check(plaintext, message, 0); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrContent, err)
	}
	return nil
}

type walker struct {
	table map[protoreflect.FullName]fields
}

func (w walker) check(raw []byte, message protoreflect.MessageDescriptor, depth int) error {
	if depth > 2*deepestQuote {
		return fmt.Errorf("nested too deep")
	}
	allowed := w.table[message.FullName()]
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
		if field != nil && field.Kind() == protoreflect.MessageKind {
			inner, _ := protowire.ConsumeBytes(value)
			if err := w.check(inner, field.Message(), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// carries says whether a field is encoded as a wire type; repeated numbers may also be
// packed. The one field that the library does not describe is a text, see [canonicalURL].
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
