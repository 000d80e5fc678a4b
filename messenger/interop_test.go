package messenger

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
	"causeway/wire"
	"causeway/wire/wiretest"
)

// simulated is the one network of this test process.
var simulated *wiretest.World

func TestMain(m *testing.M) {
	os.Exit(wiretest.Run(m, wiretest.Product{
		Network: network.Messenger,
		Open:    func(login wire.Login) network.Client { return NewInterop(login) },
		Person: func(net *meta.Network, number int64) *meta.Person {
			return net.Messenger(strconv.FormatInt(100000000000000+number, 10), fmt.Sprintf("Person %d", number))
		},
		Identifier: (*meta.Person).FBID,
		Carried:    carried,
		Unknown:    "100009999999999",
		Malformed:  "+4915112345678",
	}, func(w *wiretest.World) { simulated = w }))
}

// carried leaves out what Messenger's messages have no place for (docs/protocol.md#messenger).
func carried(content network.Content) (network.Content, bool) {
	switch said := content.(type) {
	case network.Media:
		if said.Kind == network.Document {
			said.Caption, said.Thumbnail = "", nil
		}
		return said, said.Kind != network.VideoNote
	case network.Text:
		if said.Preview != nil {
			preview := *said.Preview
			preview.Thumbnail, said.Preview = nil, &preview
		}
		return said, true
	}
	return content, true
}

func TestSuite(t *testing.T) {
	networktest.Suite(t, func(*testing.T) networktest.Harness { return simulated })
}

func TestNormalIdentifier(t *testing.T) {
	for text, want := range map[string]struct {
		key   wire.LookupKey
		value string
	}{
		"100001":          {wire.ByAccount, "100001"},
		" 100001 ":        {wire.ByAccount, "100001"},
		"anna.example":    {wire.ByUsername, "anna.example"},
		"@Anna.Example":   {wire.ByUsername, "anna.example"},
		"anna1":           {wire.ByUsername, "anna1"},
		"+4915112345678":  {},
		"anna":            {},
		"":                {},
		"012345":          {},
		"1234567890.1234": {},
		"anna@example.eu": {},
		"anna example":    {},
	} {
		key, value, err := normalIdentifier(text)
		if want.value == "" {
			require.ErrorIs(t, err, network.ErrBadIdentifier, "%q", text)
			continue
		}
		require.NoError(t, err, "%q", text)
		require.Equal(t, want.key, key, "%q", text)
		require.Equal(t, want.value, value, "%q", text)
	}
}

func TestNewMessageID(t *testing.T) {
	for i := range 1000 {
		require.Regexp(t, `^[4-9][0-9]{18}$`, (&codec{}).NewMessageID(fmt.Append(nil, i)))
	}
}
