package meta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
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

// TestChatsOverTheControlPlane does over HTTP what a phone does within WhatsApp: groups, kinds, profile, state and history.
func TestChatsOverTheControlPlane(t *testing.T) {
	w := newLinkedWorld(t)
	anna := w.WhatsApp("+4915110000001", "Anna")
	w.WhatsApp("+4915110000002", "Bob")
	call := func(path, body string) map[string]any {
		t.Helper()
		response, err := http.Post(w.AdminURL()+path, "", bytes.NewBufferString(body))
		require.NoError(t, err)
		defer response.Body.Close()
		var answer map[string]any
		require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
		require.Equal(t, http.StatusOK, response.StatusCode, "%s: %v", path, answer)
		return answer
	}
	require.EqualValues(t, 40, call("/admin/mock-phone/history", `{"account":"+4915110000001","chats":4,"messages":40}`)["messages"])
	c := w.linked(anna)
	c.synced()
	group := call("/admin/users/+4915110000002/group", `{"subject":"Trip","participants":["+4915110000001"]}`)["jid"].(string)
	awaitEvent(c, func(e *events.JoinedGroup) bool { return e.JID.String() == group })
	call("/admin/users/+4915110000002/group/"+group+"/subject", `{"text":"Journey"}`)
	awaitEvent(c, func(e *events.GroupInfo) bool { return e.Name != nil && e.Name.Name == "Journey" })
	link := call("/admin/users/+4915110000002/group/"+group+"/link", `{}`)["link"].(string)
	require.True(t, strings.HasPrefix(link, "https://chat.whatsapp.com/"))

	for _, chat := range []string{"+4915110000001", group} {
		poll := ""
		for _, body := range []string{
			`"kind":"text","text":"hi"`, `"kind":"image","text":"look","view_once":true`, `"kind":"sticker","animated":true`,
			`"kind":"location","latitude":52.5,"longitude":13.4,"text":"Berlin"`, `"kind":"contacts","cards":[{"name":"Carl","phone":"+491"}]`,
			`"kind":"poll","text":"when?","several":1,"options":["today","tomorrow"]`, `"kind":"event","text":"party"`, `"kind":"unknown"`,
			`"kind":"album","count":2`, `"kind":"mention","text":"@1","mentions":["+4915110000001"]`, `"kind":"disappearing","seconds":86400`,
		} {
			id := call("/admin/users/+4915110000002/send", fmt.Sprintf(`{"to":%q,%s}`, chat, body))["id"].(string)
			awaitEvent(c, func(m *events.Message) bool { return m.Info.ID == id })
			if strings.Contains(body, "poll") {
				poll = id
			}
		}
		id := call("/admin/users/+4915110000002/send", fmt.Sprintf(`{"to":%q,"kind":"vote","to_id":%q,"options":["today"]}`, chat, poll))["id"].(string)
		awaitEvent(c, func(m *events.Message) bool { return m.Info.ID == id })
	}
	call("/admin/mock-phone/app-state", `{"account":"+4915110000001","chat":"+4915110000002","action":"mute","on":true}`)
	awaitEvent(c, func(e *events.Mute) bool { return e.Action.GetMuted() })
	_, err := c.GetUserInfo(within(t), []types.JID{w.WhatsApp("+4915110000002", "Bob").user.pn})
	require.NoError(t, err)
	call("/admin/users/+4915110000002/profile", `{"picture":true,"about":"at sea","name":"Bob the sailor"}`)
	awaitEvent(c, any1[*events.Picture])
	require.Equal(t, "at sea", awaitEvent(c, any1[*events.UserAbout]).Status)
	id := call("/admin/users/+4915110000002/send", `{"to":"+4915110000001","text":"last"}`)["id"].(string)
	require.Equal(t, "Bob the sailor", awaitEvent(c, func(m *events.Message) bool { return m.Info.ID == id }).Info.PushName)
}
