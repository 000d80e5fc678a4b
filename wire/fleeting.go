package wire

import (
	"context"
	"time"
)

// keptFleeting bounds the sent messages that a fleeting store remembers.
const keptFleeting = 1024

// Fleeting is a store that keeps of messages nothing but what must not be used twice: what was sent is remembered in memory, for
// phones that could not open it, and is gone with the process.
func Fleeting(store Store) Store {
	return &fleeting{Store: store, sent: newLRU[string, sentMessage](keptFleeting)}
}

type fleeting struct {
	Store
	sent *lru[string, sentMessage]
}

type sentMessage struct {
	kind      string
	plaintext []byte
}

// PutSent implements [Store].
func (f *fleeting) PutSent(_ context.Context, to, id, kind string, plaintext []byte, _ time.Time) error {
	f.sent.put(to+"/"+id, sentMessage{kind, plaintext})
	return nil
}

// Sent implements [Store].
func (f *fleeting) Sent(_ context.Context, to, id string) (kind string, plaintext []byte, err error) {
	message, _ := f.sent.get(to + "/" + id)
	return message.kind, message.plaintext, nil
}
