package meta

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func (p *testProvider) patch(u *testUser, enlisted answer, body map[string]any) answer {
	p.t.Helper()
	return p.do(request{method: http.MethodPatch, path: p.pathOf(enlisted), token: p.token(p.claims(u, "enlist")), body: body})
}

func (p *testProvider) show(u *testUser, enlisted answer) answer {
	p.t.Helper()
	return p.do(request{method: http.MethodGet, path: p.pathOf(enlisted), token: p.token(p.claims(u, "enlist"))})
}

func (p *testProvider) withdraw(token string, enlisted answer, reason string) answer {
	p.t.Helper()
	return p.do(request{method: http.MethodDelete, path: p.pathOf(enlisted) + "?reason=" + reason, token: token})
}

func TestChangeEnlistment(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	e := p.enlist(u)
	for name, test := range map[string]struct {
		body   map[string]any
		status int
		code   string
	}{
		"name":           {map[string]any{"display_name": "Anna B."}, 200, ""},
		"bad name":       {map[string]any{"display_name": "\t"}, 422, "display_name_invalid"},
		"notice":         {map[string]any{"consent": map[string]any{"notice_version": "2026-02", "accepted_at": 1790000000}}, 200, ""},
		"bad notice":     {map[string]any{"consent": map[string]any{"notice_version": ""}}, 403, "consent_missing"},
		"client":         {map[string]any{"client": map[string]any{"mode": "proxy", "ip": "203.0.113.9", "country": "FR"}}, 200, ""},
		"left the EEA":   {map[string]any{"client": map[string]any{"mode": "client", "country": "US"}}, 451, "region_not_allowed"},
		"product":        {map[string]any{"product": "messenger"}, 400, "invalid_request"},
		"identifier":     {map[string]any{"identifier": map[string]any{"type": "email", "value": "a@b.eu"}}, 400, "invalid_request"},
		"withdrawn":      {map[string]any{"status": "withdrawn"}, 400, "invalid_request"},
		"pending":        {map[string]any{"status": "pending"}, 400, "invalid_request"},
		"unbound noise":  {map[string]any{"keys": map[string]any{"noise_key": userNumber(t, 9).keys()["noise_key"]}}, 401, "token_invalid"},
		"foreign prekey": {map[string]any{"keys": map[string]any{"signed_prekey": userNumber(t, 9).keys()["signed_prekey"]}}, 422, "key_signature_invalid"},
		"identity alone": {map[string]any{"keys": map[string]any{"identity_key": u.keys()["identity_key"]}}, 422, "key_signature_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.patch(u, e, test.body)
			require.Equal(t, test.status, a.status, a.raw)
			require.Equal(t, test.code, a.code())
		})
	}
	require.Equal(t, "Anna B.", p.n.Enlistments()[0].DisplayName)
	require.Equal(t, "FR", p.n.enlistments[e.text("enlistment_id")].Country)
}

func TestNewKeysAreConfirmedByPatch(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	e := p.enlist(u)
	fresh := newTestUser(t, u.subject, u.email) // after the old keys were lost
	require.Equal(t, "identity_mismatch", p.do(p.enlistRequest(fresh)).code())

	r := request{method: http.MethodPatch, path: p.pathOf(e), token: p.token(p.claims(fresh, "enlist"))}
	r.body = map[string]any{"keys": fresh.keys(), "possession": fresh.possession(r.token)}
	a := p.do(r)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, e.text("account_id"), a.text("account_id"))
	stored := p.n.enlistments[e.text("enlistment_id")]
	require.Equal(t, fresh.identity.PublicKey().PublicKey(), stored.IdentityKey)
	require.Equal(t, fresh.noise, stored.NoiseKey)
	require.Equal(t, http.StatusOK, p.do(p.enlistRequest(fresh)).status)
	require.Equal(t, "identity_mismatch", p.do(p.enlistRequest(u)).code())
}

func TestChangesAreIdempotent(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	e := p.enlist(u)
	key := map[string]string{"Idempotency-Key": uuid.NewString()}
	send := func(name string) answer {
		return p.do(request{method: http.MethodPatch, path: p.pathOf(e), token: p.token(p.claims(u, "enlist")),
			body: map[string]any{"display_name": name}, header: key})
	}
	require.Equal(t, http.StatusOK, send("One").status)
	require.Equal(t, http.StatusOK, p.patch(u, e, map[string]any{"display_name": "Two"}).status)
	require.Equal(t, http.StatusOK, send("One").status)
	require.Equal(t, "Two", p.n.Enlistments()[0].DisplayName, "a repetition has no effect")
	require.Equal(t, "idempotency_conflict", send("Three").code())
}

func TestSuspension(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	e := p.enlist(u)

	require.Equal(t, "suspended", p.patch(u, e, map[string]any{"status": "suspended"}).text("status"))
	again := p.do(p.enlistRequest(u))
	require.Equal(t, http.StatusOK, again.status)
	require.Equal(t, "suspended", again.text("status"))
	require.Equal(t, "active", p.patch(u, e, map[string]any{"status": "active"}).text("status"), "the provider lifts its own")

	p.clock.advance(time.Second)
	require.NoError(t, p.n.SetEnlistment(e.text("account_id"), "suspended"))
	refused := p.patch(u, e, map[string]any{"status": "active"})
	require.Equal(t, http.StatusForbidden, refused.status)
	require.Equal(t, "account_suspended", refused.code(), "but not the network's")
	require.Equal(t, "account_suspended", p.do(p.enlistRequest(u)).code())
	require.Equal(t, "suspended", p.show(u, e).text("status"))
}

func TestWithdrawal(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	e := p.enlist(u)
	own := func() string { return p.token(p.claims(u, "enlist")) }

	require.Equal(t, "invalid_request", p.withdraw(own(), e, "boredom").code())
	require.Equal(t, "enlistment_not_found", p.withdraw(p.token(p.claims(userNumber(t, 2), "enlist")), e, "user_request").code())
	require.Equal(t, http.StatusNoContent, p.withdraw(own(), e, "user_request").status)
	require.Equal(t, http.StatusNoContent, p.withdraw(own(), e, "user_request").status, "once more is no error")
	require.Equal(t, http.StatusNoContent, p.withdraw(p.token(p.partnerClaims()), e, "provider_shutdown").status)

	require.Equal(t, "withdrawn", p.show(u, e).text("status"))
	gone := p.patch(u, e, map[string]any{"display_name": "Anna"})
	require.Equal(t, http.StatusGone, gone.status)
	require.Equal(t, "enlistment_withdrawn", gone.code())

	r := p.enlistRequest(u)
	set(r.body, "consent.accepted_at", p.n.now().Unix()-1)
	old := p.do(r)
	require.Equal(t, http.StatusGone, old.status)
	require.Equal(t, "enlistment_withdrawn", old.code(), "the consent is older than the withdrawal")

	p.clock.advance(time.Second)
	renewed := p.do(p.enlistRequest(u))
	require.Equal(t, http.StatusCreated, renewed.status, "a new consent makes a new enlistment")
	require.NotEqual(t, e.text("account_id"), renewed.text("account_id"))
	require.Equal(t, http.StatusOK, p.do(p.enlistRequest(u)).status)

	require.Equal(t, http.StatusNoContent, p.withdraw(own(), renewed, "region").status)
	taker := newTestUser(t, "u_taker", u.email)
	p.enlist(taker) // the identifier is free again
}

func TestPartnerWithdraws(t *testing.T) {
	p := newTestProvider(t)
	e := p.enlist(userNumber(t, 1))
	require.Equal(t, http.StatusNoContent, p.withdraw(p.token(p.partnerClaims()), e, "abuse").status)
	require.Equal(t, "withdrawn", p.n.Enlistments()[0].Status)
	show := p.do(request{method: http.MethodGet, path: p.pathOf(e), token: p.token(p.partnerClaims())})
	require.Equal(t, "token_invalid", show.code(), "a partner token is for the list and the record")
}

func TestEnlistmentsOfOthersAreNotFound(t *testing.T) {
	p := newTestProvider(t)
	e := p.enlist(userNumber(t, 1))
	for _, path := range []string{p.pathOf(e), "/v1/enlistments/e_unknown"} {
		a := p.do(request{method: http.MethodGet, path: path, token: p.token(p.claims(userNumber(t, 2), "enlist"))})
		require.Equal(t, http.StatusNotFound, a.status)
		require.Equal(t, "enlistment_not_found", a.code())
	}
}

func TestListEnlistments(t *testing.T) {
	p := newTestProvider(t)
	want := map[string]bool{}
	for i := range 7 {
		want[p.enlist(userNumber(t, i)).text("enlistment_id")] = true
	}
	list := func(query string) answer {
		return p.do(request{method: http.MethodGet, path: "/v1/enlistments" + query, token: p.token(p.partnerClaims())})
	}
	got, pages, after := map[string]bool{}, 0, ""
	for {
		page := list("?product=whatsapp&limit=3&after=" + after)
		require.Equal(t, http.StatusOK, page.status, page.raw)
		pages++
		for _, item := range page.body["items"].([]any) {
			got[item.(map[string]any)["enlistment_id"].(string)] = true
		}
		if page.body["next"] == nil {
			break
		}
		after = page.text("next")
	}
	require.Equal(t, 3, pages)
	require.Equal(t, want, got)
	require.Empty(t, list("?product=messenger").body["items"])
	for _, query := range []string{"?limit=0", "?limit=501", "?limit=x", "?product=x", "?after=x"} {
		require.Equal(t, "invalid_request", list(query).code(), query)
	}
	user := p.do(request{method: http.MethodGet, path: "/v1/enlistments", token: p.token(p.claims(userNumber(t, 1), "enlist"))})
	require.Equal(t, "token_invalid", user.code())
}

func TestOwnRecord(t *testing.T) {
	p := newTestProvider(t)
	a := p.do(request{method: http.MethodGet, path: "/v1/integrator", token: p.token(p.partnerClaims())})
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, map[string]any{"integrator_id": 12.0, "name": "Causeway", "status": "active", "identifier_type": "email",
		"products": []any{"whatsapp", "messenger"}, "features": map[string]any{"group_messaging": false}}, a.body)
}

func TestPendingEnlistment(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	p.n.Fault(Fault{Kind: FaultEnlistPending, Match: Match{Account: u.subject}})
	e := p.enlist(u)
	require.Equal(t, "pending", e.text("status"))
	require.Equal(t, "1", e.header.Get("Retry-After"))
	require.Equal(t, "pending", p.show(u, e).text("status"))
	p.clock.advance(time.Second)
	shown := p.show(u, e)
	require.Equal(t, "active", shown.text("status"))
	require.Empty(t, shown.header.Get("Retry-After"))
}

func TestScriptedErrors(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	for code, status := range map[string]int{"rate_limited": 429, "internal": 500, "unavailable": 503} {
		p.n.Fault(Fault{Kind: FaultEnlistError, Params: map[string]string{"code": code}})
		a := p.do(p.enlistRequest(u))
		require.Equal(t, status, a.status)
		require.Equal(t, code, a.code())
		require.Equal(t, true, a.body["error"].(map[string]any)["retryable"])
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		require.NoError(t, err)
		require.Positive(t, seconds)
	}
	require.Empty(t, p.n.Enlistments(), "refused before any effect")
	p.enlist(u)
}

func TestAnswerLostAfterCommit(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	key := map[string]string{"Idempotency-Key": uuid.NewString()}
	fault := p.n.Fault(Fault{Kind: FaultEnlistLost})
	r := p.enlistRequest(u)
	r.header = key
	_, err := p.try(r)
	require.Error(t, err)
	require.Equal(t, 1, fault.Struck())
	require.Len(t, p.n.Enlistments(), 1)

	r = p.enlistRequest(u)
	r.header = key
	again := p.do(r)
	require.Equal(t, http.StatusOK, again.status, again.raw)
	require.Equal(t, p.n.Enlistments()[0].ID, again.text("enlistment_id"))
}

func TestFaultsFollowFromTheSeed(t *testing.T) {
	outcomes := func() (all []string) {
		p := newTestProvider(t, Profile(Faults))
		for i := range 20 {
			c := &enlistCall{service: &enlistService{n: p.n, asked: map[string]int{}}, requestID: uuid.NewString(),
				claims: &claims{Audience: "a", Identifier: userNumber(t, i).email, Subject: newJTI()}}
			c.request, _ = http.NewRequest(http.MethodPost, "/v1/enlistments", nil)
			for range 3 {
				outcome := strconv.FormatBool(p.n.misfortune("enlistment-refused", c.ordinal(), enlistFaultRate))
				all = append(all, outcome+strconv.FormatBool(c.startsPending()))
			}
		}
		return all
	}
	first := outcomes()
	require.Equal(t, first, outcomes())
	require.Contains(t, first, "truefalse", "there is something to repeat")
}

// TestEnlistmentProfiles tells what the profiles do by themselves: the faults profile
// refuses and delays a share, the others change no outcome.
func TestEnlistmentProfiles(t *testing.T) {
	for _, profile := range []ProfileName{Calm, Timing} {
		p := newTestProvider(t, Profile(profile))
		for i := range 40 {
			require.Equal(t, "active", p.enlist(userNumber(t, i)).text("status"))
		}
	}
	n := newTestProvider(t, Profile(Faults)).n
	share := 0
	for i := range 1000 {
		if n.misfortune("enlistment-pending", strconv.Itoa(i), enlistFaultRate) {
			share++
		}
	}
	require.InDelta(t, 50, share, 30)

	timing := newTestProvider(t, Profile(Timing))
	require.Contains(t, timing.enlist(userNumber(t, 1)).body, "x_trace", "unknown members may be there at any time")
}
