package messenger

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/wire"
	"causeway/wire/wiretest"
)

// simulated is the one network of this test process.
var simulated *wiretest.World

func TestMain(m *testing.M) {
	open := func(login wire.Login) network.Client { return NewInterop(login) }
	os.Exit(wiretest.Run(m, wiretest.Messenger(open), func(w *wiretest.World) { simulated = w }))
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
