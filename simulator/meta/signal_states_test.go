package meta

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// Two phones that write to each other first at the same time understand everything that follows, however it interleaves.
func TestBothBeginASession(t *testing.T) {
	type end struct {
		store *signalStore
		jid   types.JID
		inbox []binary.Node
		next  int
		heard []string
	}
	for seed := range int64(40) {
		random := rand.New(rand.NewSource(seed))
		a := &end{store: newSignalStore(1), jid: types.NewJID("1", types.HiddenUserServer)}
		b := &end{store: newSignalStore(2), jid: types.NewJID("2", types.HiddenUserServer)}
		begin := func(from, to *end) {
			bundle := to.store.public()
			bundle.oneTime = to.store.generate(1)
			require.NoError(t, from.store.startSession(to.jid, bundle))
		}
		begin(a, b)
		begin(b, a)
		for range 80 {
			from, to := a, b
			if random.Intn(2) == 0 {
				from, to = b, a
			}
			if random.Intn(2) == 0 {
				sealed, err := from.store.encrypt(to.jid, fmt.Append(nil, from.next))
				require.NoError(t, err)
				from.next++
				to.inbox = append(to.inbox, sealed)
			} else if len(to.inbox) > 0 {
				plaintext, err := to.store.decrypt(from.jid, to.inbox[0])
				require.NoError(t, err, "seed %d, message %d", seed, len(to.heard))
				require.Equal(t, fmt.Sprint(len(to.heard)), string(plaintext))
				to.heard, to.inbox = append(to.heard, string(plaintext)), to.inbox[1:]
			}
		}
	}
}
