package meta

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"
)

// TestScanOverTheControlPlane lets a program without Go act as the phone.
func TestScanOverTheControlPlane(t *testing.T) {
	w := newLinkedWorld(t)
	anna := w.WhatsApp("+4915110000001", "Anna")
	c := w.newClient()
	require.NoError(t, c.Connect())
	qr := awaitEvent(c, any1[*events.QR])
	scan := func(body string) (int, LinkedDevice) {
		t.Helper()
		response, err := http.Post(w.AdminURL()+"/admin/mock-phone/scan-qr", "text/plain", bytes.NewBufferString(body))
		require.NoError(t, err)
		defer response.Body.Close()
		var device LinkedDevice
		require.NoError(t, json.NewDecoder(response.Body).Decode(&device))
		return response.StatusCode, device
	}
	status, _ := scan("nonsense")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	status, _ = scan(qr.Codes[0][:40] + "zz" + qr.Codes[0][42:])
	require.Equal(t, http.StatusNotFound, status)
	status, device := scan(qr.Codes[0])
	require.Equal(t, http.StatusOK, status)
	require.EqualValues(t, 1, device.Device)
	require.Equal(t, anna.LinkedDevices()[0].JID, device.JID)
	status, _ = scan(qr.Codes[0])
	require.Equal(t, http.StatusConflict, status)
	awaitEvent(c, any1[*events.Connected])
}
