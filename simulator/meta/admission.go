package meta

import (
	"fmt"
	"strings"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

// admit lets a client in or tells it why not (docs/protocol.md#outcome).
func (n *Network) admit(c *connection, hs *handshake) {
	var payload waWa6.ClientPayload
	if err := proto.Unmarshal(hs.payload, &payload); err != nil {
		n.finding("bad-login-payload", fmt.Sprintf("connection #%d: %v", c.id, err))
		c.fail(failMalformed, nil)
		return
	}
	switch payload.GetProduct() {
	case waWa6.ClientPayload_INTEROP, waWa6.ClientPayload_INTEROP_MSGR:
		n.admitInterop(c, &payload, hs.static)
	case waWa6.ClientPayload_WHATSAPP:
		n.admitWhatsApp(c, &payload, hs.static)
	default:
		n.finding("bad-login-payload", fmt.Sprintf("connection #%d: product %s is not served", c.id, payload.GetProduct()))
		c.fail(failMalformed, nil)
	}
}

func (n *Network) admitInterop(c *connection, payload *waWa6.ClientPayload, static [32]byte) {
	login, problem := readLogin(payload)
	if problem != "" {
		n.finding(problem, fmt.Sprintf("connection #%d: login of account %s", c.id, login.account))
		c.fail(failMalformed, nil)
		return
	}
	if c.header.Get(headerMode) == "" {
		n.finding("no-interop-mode", fmt.Sprintf("connection #%d: no %s header", c.id, headerMode))
	}
	if f := n.strikes(FaultLogin, about("login", "", n.namesOf(login)...)); f != nil {
		c.fail(f.failure())
		return
	}
	claims, tokenProblem := n.verifyToken(login.token, "connect", login.product)
	if tokenProblem != nil {
		n.transcript.note(n.now(), fmt.Sprintf("#%d token refused: %v", c.id, tokenProblem.Code))
		c.fail(failureFor(tokenProblem), nil)
		return
	}
	if n.misfortune("token", fmt.Sprintf("%s/%d", login.account, c.id), 0.02) {
		c.fail(failTokenExpired, nil)
		return
	}
	d, reason, extra := n.checkLogin(c, login, claims, static)
	if reason != 0 {
		c.fail(reason, extra)
		return
	}
	n.login(c, d)
	c.send(binary.Node{Tag: "success", Attrs: binary.Attrs{
		"t": n.now().Unix(), "props": "27", "abprops": "5", "group_abprops": "2", "location": "lla",
	}})
}

// namesOf are the account of a login and its addresses, of which there may be one with each provider.
func (n *Network) namesOf(login interopLogin) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := []string{login.account}
	for _, e := range n.enlistments {
		if e.Product == login.product && e.Account == login.account {
			names = append(names, jidText(e.jid()))
		}
	}
	return names
}

// checkLogin compares a verified token with the account that wants to log in; reason 0 lets it in.
func (n *Network) checkLogin(c *connection, login interopLogin, claims *claims, static [32]byte) (d *device, reason int, extra binary.Attrs) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if claims.AccountID != login.account || claims.NoiseKey != static {
		return nil, failTokenInvalid, nil
	}
	integrator := n.integrators[claims.Integrator]
	if integrator == nil || integrator.Status == integratorRemoved {
		return nil, failSuspended, nil
	}
	if integrator.ModeAllowed != "both" && integrator.ModeAllowed != c.mode {
		n.finding("mode-not-allowed", fmt.Sprintf("connection #%d: integrator %d has no mode %s", c.id, integrator.ID, c.mode))
		return nil, failMalformed, nil
	}
	e := n.enlistmentByAccount(login.product, claims.Integrator, login.account)
	switch {
	case e == nil || e.Status == enlistmentPending:
		return nil, failNotEnlisted, nil
	case e.Status == enlistmentWithdrawn:
		return nil, failWithdrawn, nil
	case e.Subject != claims.Subject || e.NoiseKey != static || !strings.EqualFold(e.Normalized, claims.Identifier):
		return nil, failTokenInvalid, nil
	case e.Status == enlistmentSuspended:
		extra = binary.Attrs{"code": 101}
		if left := e.SuspendedUntil.Sub(n.now()); left > 0 {
			extra["expire"] = int(left.Seconds())
		}
		return nil, failSuspended, extra
	case e.Country != "" && !inEEA(e.Country):
		return nil, failSuspended, binary.Attrs{"code": suspendedForRegion}
	}
	d = n.deviceOf(e)
	d.readReceipts = login.readReceipts
	return d, 0, nil
}

// failure is how a scripted refusal of a login reads.
func (f *Fault) failure() (reason int, extra binary.Attrs) {
	extra = binary.Attrs{}
	for _, key := range []string{"code", "expire", "message", "logout_message_header", "logout_message_subtext"} {
		if value := f.Params[key]; value != "" {
			extra[key] = value
		}
	}
	return atoi(f.Params["reason"], failServer), extra
}

// fail refuses a login.
func (c *connection) fail(reason int, extra binary.Attrs) {
	attrs := binary.Attrs{"reason": reason, "t": c.n.now().Unix(), "location": "lla"}
	for key, value := range extra {
		attrs[key] = value
	}
	c.finish(binary.Node{Tag: "failure", Attrs: attrs})
}
