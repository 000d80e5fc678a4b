package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/matrix"
)

// provisioning is bridgev2's HTTP API as a program of one user's uses it, with the user's own Matrix token.
type provisioning struct{ user *matrixUser }

// ask does one request; what is answered with another status than 200 fails with its words.
func (p provisioning) ask(method, path string, query url.Values, body, answer any) (refused matrixError) {
	w := p.user.house.world
	w.t.Helper()
	data, err := json.Marshal(body)
	require.NoError(w.t, err)
	if query == nil {
		query = url.Values{}
	}
	query.Set("user_id", string(p.user.client.UserID()))
	address := p.user.house.stage.Bridge.URL + "/_matrix/provision/v3/" + path + "?" + query.Encode()
	request, err := http.NewRequestWithContext(w.soon(), method, address, bytes.NewReader(data))
	require.NoError(w.t, err)
	request.Header.Set("Authorization", "Bearer "+p.user.client.Matrix.AccessToken)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		require.NoError(w.t, json.NewDecoder(response.Body).Decode(answer))
		return matrixError{}
	}
	require.NoError(w.t, json.NewDecoder(response.Body).Decode(&refused))
	refused.Status = response.StatusCode
	return refused
}

type matrixError struct {
	Status int    `json:"-"`
	Code   string `json:"errcode"`
	Words  string `json:"error"`
}

// begin starts a login flow, for an older login if one is named.
func (p provisioning) begin(flow, again string) matrix.RespSubmitLogin {
	t := p.user.house.world.t
	t.Helper()
	query := url.Values{}
	if again != "" {
		query.Set("login_id", again)
	}
	var step matrix.RespSubmitLogin
	require.Zero(t, p.ask(http.MethodPost, "login/start/"+flow, query, struct{}{}, &step))
	return step
}

// goOn takes a step of a flow.
func (p provisioning) goOn(from matrix.RespSubmitLogin, input map[string]string) (next matrix.RespSubmitLogin, refused matrixError) {
	p.user.house.world.t.Helper()
	refused = p.ask(http.MethodPost, "login/step/"+from.LoginID+"/"+from.StepID+"/"+string(from.Type), url.Values{"txn_id": {from.TxnID}}, input, &next)
	return next, refused
}

// untilDone waits through the steps that only wait.
func (p provisioning) untilDone(step matrix.RespSubmitLogin) (loginID string) {
	t := p.user.house.world.t
	t.Helper()
	for step.Type == bridgev2.LoginStepTypeDisplayAndWait {
		var refused matrixError
		step, refused = p.goOn(step, nil)
		require.Zero(t, refused)
	}
	require.Equal(t, bridgev2.LoginStepTypeComplete, step.Type)
	require.Contains(t, step.Instructions, "Linked to")
	return string(step.CompleteParams.UserLoginID)
}

// Everything about logging in works for programs, too: both ways to link, several accounts, refusals in words, logging out.
func TestLinkedLoginByProvisioning(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice, bob := w.MatrixUser("alice"), w.MatrixUser("bob")
	api, others := provisioning{alice}, provisioning{bob}
	work, home, anna := w.Phone("+4915130000051", "Alice"), w.Phone("+4915130000052", "Alice at home"), w.Phone("+4915130000053", "Anna")
	var flows matrix.RespLoginFlows
	require.Zero(t, api.ask(http.MethodGet, "login/flows", nil, nil, &flows))
	offered := map[string]string{}
	for _, flow := range flows.Flows {
		offered[flow.ID] = flow.Description
	}
	require.Contains(t, offered["whatsapp-qr"], "QR code")
	require.Contains(t, offered["whatsapp-code"], "code on your phone")

	qr := api.begin("whatsapp-qr", "")
	require.Equal(t, bridgev2.LoginDisplayTypeQR, qr.DisplayAndWaitParams.Type)
	require.Contains(t, qr.Instructions, "not an official WhatsApp app")
	w.keepPrivate(qr.DisplayAndWaitParams.Data)
	_, err := work.ScanQR(w.soon(), qr.DisplayAndWaitParams.Data)
	require.NoError(t, err)
	first := api.untilDone(qr)
	alice.waitConnected(work)
	anna.WritesTo(&linkedUser{alice, work}, "hello at work")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "hello at work")

	ask := api.begin("whatsapp-code", "")
	require.Equal(t, bridgev2.LoginStepTypeUserInput, ask.Type)
	require.Contains(t, ask.Instructions, "not an official WhatsApp app")
	_, refused := api.goOn(ask, map[string]string{"phone": "five"})
	require.Contains(t, refused.Words, "country code")
	ask = api.begin("whatsapp-code", "")
	code, refused := api.goOn(ask, map[string]string{"phone": home.Phone()})
	require.Zero(t, refused)
	require.Equal(t, bridgev2.LoginDisplayTypeCode, code.DisplayAndWaitParams.Type)
	w.keepPrivate(code.DisplayAndWaitParams.Data)
	_, err = home.EnterLinkCode(w.soon(), code.DisplayAndWaitParams.Data)
	require.NoError(t, err)
	second := api.untilDone(code)
	require.NotEqual(t, first, second)

	// the wrong phone changes nothing; the right one goes on in the same rooms
	wrong := api.begin("whatsapp-qr", first)
	_, err = home.ScanQR(w.soon(), wrong.DisplayAndWaitParams.Data)
	require.Error(t, err)
	_, refused = api.goOn(wrong, nil)
	require.Equal(t, http.StatusConflict, refused.Status)
	require.Equal(t, "CAUSEWAY.CW-1605", refused.Code)
	require.Contains(t, refused.Words, "another WhatsApp account")
	require.Len(t, home.LinkedDevices(), 1)
	require.NoError(t, work.Unlink(work.LinkedDevices()[0].Device))
	alice.WaitForNotice("taken this server off")
	again := api.begin("whatsapp-qr", first)
	_, err = work.ScanQR(w.soon(), again.DisplayAndWaitParams.Data)
	require.NoError(t, err)
	require.Equal(t, first, api.untilDone(again))
	alice.waitConnected(work)
	anna.WritesTo(&linkedUser{alice, work}, "hello again")
	room.WaitForMessage(anna, "hello again")

	var found map[string]any
	require.Zero(t, api.ask(http.MethodGet, "resolve_identifier/"+anna.Phone(), url.Values{"login_id": {first}}, nil, &found))
	require.Equal(t, anna.conversation(), found["id"])

	// what is another user's is not found
	require.Equal(t, http.StatusNotFound, others.ask(http.MethodPost, "logout/"+first, nil, nil, &struct{}{}).Status)
	require.Zero(t, api.ask(http.MethodPost, "logout/"+first, nil, nil, &struct{}{}))
	w.eventually("the phone to have no linked device", func() bool { return len(work.LinkedDevices()) == 0 })
	var left matrix.RespWhoami
	require.Zero(t, api.ask(http.MethodGet, "whoami", nil, nil, &left))
	require.Len(t, left.Logins, 1)
	require.Equal(t, second, string(left.Logins[0].ID))
	require.Len(t, home.LinkedDevices(), 1)
}

// So it is with third-party accounts: terms, refusals in words, the account, and its end.
func TestThirdPartyLoginByProvisioning(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice")
	api, anna := provisioning{alice}, w.Somebody("Anna").OptedIn()
	answers := func(agree, country string) map[string]string {
		return map[string]string{"agree": agree, "country": country}
	}

	_, refused := api.goOn(api.begin("whatsapp-interop", ""), answers("no", "DE"))
	require.Equal(t, "CAUSEWAY.CW-1509", refused.Code)
	_, refused = api.goOn(api.begin("whatsapp-interop", ""), answers("yes", "US"))
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.Contains(t, refused.Words, "European Economic Area")
	require.Empty(t, w.net.Enlistments())

	terms := api.begin("whatsapp-interop", "")
	require.Equal(t, bridgev2.LoginStepTypeUserInput, terms.Type)
	require.Contains(t, terms.Instructions, "third-party")
	done, refused := api.goOn(terms, answers("yes", "de"))
	require.Zero(t, refused)
	require.Equal(t, bridgev2.LoginStepTypeComplete, done.Type)
	alice.jid = w.net.Enlistments()[0].JID
	w.eventually("the account to be connected", alice.connected)
	room := alice.StartChat(anna)
	room.Says("by a program")
	anna.HearsText(alice, "by a program")

	var again matrix.RespSubmitLogin
	refused = api.ask(http.MethodPost, "login/start/whatsapp-interop", nil, struct{}{}, &again)
	require.Equal(t, "CAUSEWAY.CW-1508", refused.Code, "there is one account for each network")
	require.Zero(t, api.ask(http.MethodPost, "logout/"+string(done.CompleteParams.UserLoginID), nil, nil, &struct{}{}))
	w.eventually("the account to end", func() bool { return !alice.connected() })
}
