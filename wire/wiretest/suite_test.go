package wiretest_test

import (
	"os"
	"testing"

	"causeway/messenger"
	"causeway/network"
	"causeway/network/networktest"
	"causeway/whatsapp"
	"causeway/wire"
	"causeway/wire/wiretest"
)

// simulated is the one network of this test process.
var simulated *wiretest.World

func products() []wiretest.Product {
	return []wiretest.Product{
		wiretest.WhatsApp(func(login wire.Login) network.Client { return whatsapp.NewInterop(login) }),
		wiretest.Messenger(func(login wire.Login) network.Client { return messenger.NewInterop(login) }),
	}
}

func TestMain(m *testing.M) {
	os.Exit(wiretest.Run(m, products()[0], func(w *wiretest.World) { simulated = w }))
}

// TestSuite holds the accounts of both networks against what every client promises, side by side on one network.
func TestSuite(t *testing.T) {
	for _, product := range products() {
		t.Run(product.Network.DisplayName(), func(t *testing.T) {
			t.Parallel()
			networktest.Suite(t, func(*testing.T) networktest.Harness { return simulated.On(product) })
		})
	}
}
