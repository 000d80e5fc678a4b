package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

func TestJIDs(t *testing.T) {
	for _, test := range []struct {
		address network.Address
		jid     types.JID
		text    string
	}{
		{network.LID("90000000000001"), types.NewJID("90000000000001", "lid"), "90000000000001@lid"},
		{network.Phone("+4915110000001"), types.NewJID("4915110000001", "s.whatsapp.net"), "4915110000001@s.whatsapp.net"},
		{
			network.Interop(network.WhatsApp, 12, "105012705411308"),
			types.JID{User: "105012705411308", Integrator: 12, Server: "interop"}, "12-105012705411308@interop",
		},
		{network.Interop(network.WhatsApp, 999, "1"), types.JID{User: "1", Integrator: 999, Server: "interop"}, "999-1@interop"},
		{network.Account("100001"), types.NewJID("100001", "msgr"), "100001@msgr"},
		{network.Interop(network.Messenger, 12, "5"), types.JID{User: "5", Integrator: 12, Server: "interop"}, "12-5@interop"},
	} {
		jid, err := ToJID(test.address)
		require.NoError(t, err)
		require.Equal(t, test.jid, jid)
		address, err := FromJID(test.address.Network, jid)
		require.NoError(t, err)
		require.Equal(t, test.address, address)
		text, err := TextJID(test.address)
		require.NoError(t, err)
		require.Equal(t, test.text, text)
		address, err = ParseTextJID(test.address.Network, text)
		require.NoError(t, err)
		require.Equal(t, test.address, address)
	}
	address, err := ParseTextJID(network.WhatsApp, "12-105012705411308:0@interop")
	require.NoError(t, err)
	require.Equal(t, network.Interop(network.WhatsApp, 12, "105012705411308"), address)
}

func TestJIDsRefused(t *testing.T) {
	for _, text := range []string{
		"", "@", "lid", "@lid", "5@g.us", "05@lid", "x@lid", "5:1@lid", "105@interop", "-5@interop", "0-5@interop", "012-5@interop",
		"1000-5@interop", "12-05@interop", "12-1234567890123456@interop", "12-5:1@interop", "12-5:00@interop", "1-2-3@interop", "5@lid@lid",
	} {
		_, err := ParseTextJID(network.WhatsApp, text)
		require.Error(t, err, "%q", text)
	}
	for _, jid := range []types.JID{
		{}, {User: "5", Device: 1, Server: "lid"}, {User: "5", Server: "interop"}, {User: "5", Integrator: 12, Server: "lid"},
		{User: "5", Server: "msgr"}, {User: "5", RawAgent: 1, Server: "s.whatsapp.net"},
	} {
		_, err := FromJID(network.WhatsApp, jid)
		require.Error(t, err, "%#v", jid)
	}
	for _, address := range []network.Address{{}, network.LID("05"), {Network: network.WhatsApp, Kind: network.KindAccount, User: "5"}} {
		_, err := ToJID(address)
		require.Error(t, err)
	}
}

func FuzzTextJID(f *testing.F) {
	for _, seed := range []string{"90000000000001@lid", "12-105012705411308@interop", "4915110000001@s.whatsapp.net", "12-5:0@interop"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := ParseTextJID(network.WhatsApp, text)
		if err != nil {
			return
		}
		again, err := TextJID(address)
		require.NoError(t, err)
		back, err := ParseTextJID(network.WhatsApp, again)
		require.NoError(t, err)
		require.Equal(t, address, back)
		jid, err := ToJID(address)
		require.NoError(t, err)
		back, err = FromJID(network.WhatsApp, jid)
		require.NoError(t, err)
		require.Equal(t, address, back)
	})
}

func FuzzAddress(f *testing.F) {
	f.Add("whatsapp-lid-90000000000001")
	f.Add("whatsapp-interop-12-105012705411308")
	f.Fuzz(func(t *testing.T, text string) {
		address, err := network.ParseAddress(text)
		if err != nil || address.Network != network.WhatsApp {
			return
		}
		jid, err := ToJID(address)
		require.NoError(t, err)
		back, err := FromJID(network.WhatsApp, jid)
		require.NoError(t, err)
		require.Equal(t, address, back, "the integrator must survive")
	})
}
