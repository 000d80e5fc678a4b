package puppet_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/puppet"
)

func TestIDsRoundTrip(t *testing.T) {
	for _, address := range []network.Address{
		network.LID("90000000000001"),
		network.Phone("+4915110000001"),
		network.Account("100001"),
		network.Interop(network.WhatsApp, 12, "105012705411308"),
	} {
		got, err := puppet.Address(puppet.ID(address))
		require.NoError(t, err)
		require.Equal(t, address, got)
		login, err := puppet.LoginAddress(puppet.LoginID(address))
		require.NoError(t, err)
		require.Equal(t, address, login)
	}
	_, err := puppet.Address("whatsapp-lid-007")
	require.Error(t, err)
}

func TestSenderComparesWholeAddress(t *testing.T) {
	self := network.Interop(network.WhatsApp, 12, "105012705411308")
	require.True(t, puppet.Sender(self, self).IsFromMe)
	for name, other := range map[string]network.Address{
		"same account, other integrator": network.Interop(network.WhatsApp, 13, self.User),
		"same digits as a phone number":  network.Phone(self.User),
		"same digits as a hidden number": network.LID(self.User),
		"same account, other network":    network.Interop(network.Messenger, 12, self.User),
	} {
		sender := puppet.Sender(other, self)
		require.False(t, sender.IsFromMe, name)
		require.Empty(t, sender.SenderLogin, name)
	}
}

func TestNames(t *testing.T) {
	lid := network.LID("90000000001234")
	phone := network.Phone("+4915110000001")
	namer, err := puppet.NewNamer(puppet.DefaultTemplate)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		profile puppet.Profile
		want    string
	}{
		"name":              {puppet.Profile{Address: lid, Phone: phone, Name: "Anna"}, "Anna (WhatsApp)"},
		"phone only":        {puppet.Profile{Address: lid, Phone: phone}, "+4915110000001 (WhatsApp)"},
		"phone as address":  {puppet.Profile{Address: phone}, "+4915110000001 (WhatsApp)"},
		"nothing":           {puppet.Profile{Address: lid}, "WhatsApp user 1234 (WhatsApp)"},
		"messenger":         {puppet.Profile{Address: network.Account("77"), Name: "Bo"}, "Bo (Messenger)"},
		"suffix once":       {puppet.Profile{Address: lid, Name: "Anna (WhatsApp) (WhatsApp)"}, "Anna (WhatsApp)"},
		"only a suffix":     {puppet.Profile{Address: lid, Name: "(WhatsApp)"}, "WhatsApp user 1234 (WhatsApp)"},
		"line breaks":       {puppet.Profile{Address: lid, Name: "An\r\nna\tB"}, "An na B (WhatsApp)"},
		"turned around":     {puppet.Profile{Address: lid, Name: "\u202Egnp.annA\u2069"}, "gnp.annA (WhatsApp)"},
		"invisible":         {puppet.Profile{Address: lid, Name: "\u200B\u200B\uFEFF"}, "WhatsApp user 1234 (WhatsApp)"},
		"decomposed":        {puppet.Profile{Address: lid, Name: "Rene\u0301"}, "René (WhatsApp)"},
		"not UTF-8":         {puppet.Profile{Address: lid, Name: "An\xffna"}, "An\uFFFDna (WhatsApp)"},
		"emoji with joiner": {puppet.Profile{Address: lid, Name: "A 👩\u200D🚀"}, "A 👩\u200D🚀 (WhatsApp)"},
	} {
		require.Equal(t, c.want, namer.Name(c.profile), name)
	}
	long := namer.Name(puppet.Profile{Address: lid, Name: strings.Repeat("ä", 1000)})
	require.LessOrEqual(t, utf8.RuneCountInString(long), 256)
	require.True(t, strings.HasSuffix(long, " (WhatsApp)"))
}

func TestTemplatesWithoutNetworkAreRefused(t *testing.T) {
	for _, text := range []string{"{{.BestName}}", "{{.Network}} {{.BestName}}", "{{.Nobody}} ({{.Network}})", "{{"} {
		_, err := puppet.NewNamer(text)
		require.Error(t, err, text)
	}
	namer, err := puppet.NewNamer("{{.BestName}} on {{.Network}}")
	require.NoError(t, err)
	require.Equal(t, "Anna on WhatsApp", namer.Name(puppet.Profile{Address: network.LID("1"), Name: "Anna"}))
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"Anna", "\u202Eabc", "a\u200B\u200Bb", "\x00", "  a  ", "e\u202E\u0301", "\xff\xfe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := puppet.Clean(name)
		require.True(t, utf8.ValidString(got))
		for _, r := range got {
			require.False(t, unicode.IsControl(r))
			require.NotContains(t, "\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069\u200E\u200F\u061C\u2028\u2029", string(r))
		}
		require.Equal(t, got, puppet.Clean(got), "cleaning twice changes nothing")
	})
}
