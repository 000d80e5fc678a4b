package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func TestLibraryLogKeepsSecretsOut(t *testing.T) {
	var out bytes.Buffer
	log := libraryLog{zerolog.New(&out)}.Sub("Socket")
	log.Warnf("Error decrypting %s from %s: %v (%d)", "3EB0", "4915110000001@s.whatsapp.net", errors.New("bad MAC"), 7)
	log.Debugf("%s", "<message>secret</message>")
	log.Infof("%s", "secret")
	require.Contains(t, out.String(), "bad MAC")
	require.Contains(t, out.String(), "Socket")
	require.Contains(t, out.String(), `"number":7`)
	require.NotContains(t, out.String(), "49151")
	require.NotContains(t, out.String(), "secret")
}
