package whatsapp

import (
	"os"
	"testing"

	"causeway/network"
	"causeway/wire"
	"causeway/wire/wiretest"
)

// simulated is the one network of this test process.
var simulated *wiretest.World

func TestMain(m *testing.M) {
	open := func(login wire.Login) network.Client { return NewInterop(login) }
	os.Exit(wiretest.Run(m, wiretest.WhatsApp(open), func(w *wiretest.World) { simulated = w }))
}
