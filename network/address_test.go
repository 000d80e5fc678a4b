package network_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func TestAddressText(t *testing.T) {
	for text, address := range map[string]network.Address{
		"whatsapp-lid-90000000000001":          network.LID("90000000000001"),
		"whatsapp-pn-4915110000001":            network.Phone("+4915110000001"),
		"messenger-100001":                     network.Account("100001"),
		"whatsapp-interop-12-105012705411308":  network.Interop(network.WhatsApp, 12, "105012705411308"),
		"whatsapp-group-120363000000000001":    network.GroupAddress("120363000000000001"),
		"whatsapp-group-4915110000001-1414141": network.GroupAddress("4915110000001-1414141"),
		"messenger-interop-12-105012705411308": network.Interop(network.Messenger, 12, "105012705411308"),
	} {
		require.Equal(t, text, address.String())
		parsed, err := network.ParseAddress(text)
		require.NoError(t, err)
		require.Equal(t, address, parsed)
	}
}

func TestAddressRefused(t *testing.T) {
	for _, text := range []string{
		"", "whatsapp", "whatsapp-", "signal-lid-1", "whatsapp-lid-", "whatsapp-lid-01", "whatsapp-lid-1x",
		"whatsapp-lid-" + strings.Repeat("9", 21), "whatsapp-100001", "messenger-lid-1", "messenger-pn-1", "messenger-account-1",
		"whatsapp-interop-0-1", "whatsapp-interop-1000-1", "whatsapp-interop-012-1", "whatsapp-interop-12-0",
		"whatsapp-interop-12-1234567890123456", "whatsapp-interop-12", "whatsapp-interop-12-1-2", "Whatsapp-lid-1", "whatsapp-lid-1 ",
		"messenger-group-1", "whatsapp-group-", "whatsapp-group-1-", "whatsapp-group--1", "whatsapp-group-1-0", "whatsapp-group-01-1",
		"whatsapp-group-1-2-3", "whatsapp-group-1-x", "whatsapp-lid-1-2",
	} {
		_, err := network.ParseAddress(text)
		require.Error(t, err, text)
	}
}

// The same digits under every kind and integrator are different accounts, everywhere.
func TestEqualDigitsStayApart(t *testing.T) {
	seen := map[string]network.Address{}
	for _, address := range []network.Address{
		network.LID("555001"), network.Phone("555001"), network.GroupAddress("555001"), network.GroupAddress("555-1"), network.Account("555001"),
		network.Interop(network.WhatsApp, 12, "555001"), network.Interop(network.WhatsApp, 13, "555001"),
		network.Interop(network.Messenger, 12, "555001"),
	} {
		require.NotContains(t, seen, address.String())
		seen[address.String()] = address
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("whatsapp-lid-90000000000001")
	f.Add("whatsapp-interop-12-105012705411308")
	f.Add("messenger-100001")
	f.Add("whatsapp-group-120363000000000001")
	f.Add("whatsapp-group-4915110000001-1414141414")
	f.Fuzz(func(t *testing.T, text string) {
		address, err := network.ParseAddress(text)
		if err != nil {
			require.Zero(t, address)
			return
		}
		require.NoError(t, address.Validate())
		require.Equal(t, text, address.String())
	})
}

func FuzzMessageID(f *testing.F) {
	f.Add("whatsapp-lid-1/whatsapp-interop-12-1/3EB0AB")
	f.Add("messenger-100001/messenger-100001/a/b")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := network.ParseMessageID(text)
		if err != nil {
			return
		}
		require.Equal(t, text, id.String())
	})
}

func TestMessageIDRefused(t *testing.T) {
	for _, text := range []string{"", "a", "whatsapp-lid-1/whatsapp-lid-2", "whatsapp-lid-1/whatsapp-lid-2/", "x/whatsapp-lid-2/1", "whatsapp-lid-1/x/1"} {
		_, err := network.ParseMessageID(text)
		require.Error(t, err, text)
	}
}
