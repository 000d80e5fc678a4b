package portal_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/portal"
)

func TestCorrections(t *testing.T) {
	us, them := network.Interop(network.WhatsApp, 12, "1"), network.LID("2")
	id := func(sender network.Address, text string) network.MessageID {
		return network.MessageID{Conversation: them, Sender: sender, ID: text}
	}
	var metadata portal.Metadata
	require.Equal(t, id(us, "C"), metadata.Original(id(us, "C")))
	metadata.Corrected(id(us, "C"), id(us, "A"))
	metadata.Corrected(id(us, "C"), id(us, "B"))
	require.Equal(t, id(us, "A"), metadata.Original(id(us, "C")), "the same edit again changes nothing")
	require.Equal(t, id(them, "C"), metadata.Original(id(them, "C")), "somebody else's message of the same id is another")
	for i := range 100 {
		metadata.Corrected(id(us, fmt.Sprint(i)), id(us, "A"))
	}
	require.Len(t, *metadata.Corrections, 64)
	require.Equal(t, id(us, "A"), metadata.Original(id(us, "99")))
	require.Equal(t, id(us, "C"), metadata.Original(id(us, "C")), "old corrections are forgotten")
}
