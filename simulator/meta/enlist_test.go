package meta

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestEnlist(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	a := p.enlist(u)
	account := a.text("account_id")
	require.Regexp(t, `^[1-9]\d{14}$`, account)
	require.Equal(t, "12-"+account+"@interop", a.text("jid"))
	require.Equal(t, "active", a.text("status"))
	require.Equal(t, p.n.ChatURL(), a.body["chat"].(map[string]any)["url"])
	require.Equal(t, map[string]any{"type": "email", "value": u.email, "normalized": u.email}, a.body["identifier"])
	require.EqualValues(t, testIntegrator, a.body["integrator_id"])
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Contains(t, a.body, "expires_at")
	require.Nil(t, a.body["expires_at"])

	again := p.do(p.enlistRequest(u))
	require.Equal(t, http.StatusOK, again.status, "the same subject and product")
	require.Equal(t, a.body, again.body)

	shown := p.do(request{method: http.MethodGet, path: p.pathOf(a), token: p.token(p.claims(u, "enlist"))})
	require.Equal(t, http.StatusOK, shown.status)
	require.Equal(t, a.body, shown.body)
	require.Equal(t, []EnlistmentInfo{{ID: a.text("enlistment_id"), JID: a.text("jid"), Account: account, Integrator: 12,
		Identifier: u.email, DisplayName: "Anna", Product: "whatsapp", Status: "active"}}, p.n.Enlistments())
	require.Empty(t, p.n.Findings())
}

func (p *testProvider) pathOf(a answer) string { return "/v1/enlistments/" + a.text("enlistment_id") }

// TestEnlistRefusals bends one thing of a good request at a time.
func TestEnlistRefusals(t *testing.T) {
	p := newTestProvider(t)
	known := userNumber(t, 1)
	p.enlist(known)
	u := userNumber(t, 2)
	member := func(path string, value any) func(*request) {
		return func(r *request) { set(r.body, path, value) }
	}
	header := func(name, value string) func(*request) {
		return func(r *request) { r.header = map[string]string{name: value} }
	}
	// reproved changes the claims of the token and proves possession under the new token.
	reproved := func(path string, value any) func(*request) {
		return func(r *request) {
			c := p.claims(u, "enlist")
			set(c, path, value)
			r.token = p.token(c)
			r.body["possession"] = u.possession(r.token)
		}
	}
	other := userNumber(t, 3)
	for name, test := range map[string]struct {
		bend   func(*request)
		status int
		code   string
		field  string
	}{
		"no token":           {func(r *request) { r.token = "" }, 401, "token_invalid", ""},
		"other scheme":       {header("Authorization", "Basic YTpi"), 401, "token_invalid", ""},
		"expired token":      {reproved("exp", p.n.now().Unix()-61), 401, "token_expired", ""},
		"connect token":      {reproved("purpose", "connect"), 401, "token_invalid", ""},
		"unknown key":        {func(r *request) { r.token = p.strangersToken(u) }, 401, "key_unknown", ""},
		"other audience":     {reproved("aud", "urn:meta:interop:messenger"), 401, "token_invalid", "product"},
		"account in token":   {reproved("account_id", "1"), 401, "token_invalid", ""},
		"cnf is another key": {reproved("cnf.jwk.x", encode64(other.noise[:])), 401, "token_invalid", "keys.noise_key"},
		"another user": {func(r *request) {
			set(r.body, "identifier.value", other.email)
		}, 401, "token_invalid", "identifier.value"},

		"no request id":      {header("X-Request-Id", ""), 400, "invalid_request", "X-Request-Id"},
		"no accept":          {header("Accept", "text/html"), 400, "invalid_request", "Accept"},
		"no idempotency key": {header("Idempotency-Key", "1"), 400, "invalid_request", "Idempotency-Key"},
		"media type":         {header("Content-Type", "text/plain"), 415, "unsupported_media_type", "Content-Type"},
		"too large":          {func(r *request) { r.raw = []byte(`{"x":"` + strings.Repeat("x", 64<<10) + `"}`) }, 413, "too_large", ""},
		"not JSON":           {func(r *request) { r.raw = []byte(`<a/>`) }, 400, "invalid_request", ""},
		"duplicate member":   {func(r *request) { r.raw = []byte(`{"product":"whatsapp","Product":"messenger"}`) }, 400, "invalid_request", ""},
		"unknown member":     {member("phone", "+49"), 400, "invalid_request", ""},
		"no product":         {member("product", nil), 400, "invalid_request", "product"},
		"unknown product":    {member("product", "instagram"), 400, "invalid_request", "product"},
		"status":             {member("status", "active"), 400, "invalid_request", "status"},
		"no identifier":      {member("identifier", nil), 400, "invalid_request", "identifier"},
		"identifier type":    {member("identifier.type", "pn"), 422, "identifier_unsupported", "identifier"},
		"identifier form":    {member("identifier.value", "nobody"), 422, "identifier_unsupported", "identifier"},
		"no name":            {member("display_name", nil), 422, "display_name_invalid", "display_name"},
		"empty name":         {member("display_name", ""), 422, "display_name_invalid", "display_name"},
		"long name":          {member("display_name", strings.Repeat("ä", 65)), 422, "display_name_invalid", "display_name"},
		"control in name":    {member("display_name", "An\u0000na"), 422, "display_name_invalid", "display_name"},

		"no keys":              {member("keys", nil), 400, "invalid_request", "keys"},
		"no registration":      {member("keys.registration_id", nil), 400, "invalid_request", "keys"},
		"registration as text": {member("keys.registration_id", "1"), 400, "invalid_request", ""},
		"no signed prekey":     {member("keys.signed_prekey", nil), 400, "invalid_request", "keys"},
		"short identity":       {member("keys.identity_key", "AAAA"), 400, "invalid_request", "keys.identity_key"},
		"zero identity":        {member("keys.identity_key", encode64(make([]byte, 32))), 400, "invalid_request", "keys.identity_key"},
		"identity with type":   {member("keys.identity_key", encode64(make([]byte, 33))), 400, "invalid_request", "keys.identity_key"},
		"prekey id 0":          {member("keys.signed_prekey.id", 0), 400, "invalid_request", "keys.signed_prekey"},
		"prekey id of 25 bits": {member("keys.signed_prekey.id", 1<<24), 400, "invalid_request", "keys.signed_prekey"},
		"prekey signature":     {member("keys.signed_prekey.signature", u.sign([]byte("x"))), 422, "key_signature_invalid", "keys.signed_prekey.signature"},
		"no possession":        {member("possession", nil), 422, "key_signature_invalid", "possession"},
		"possession of other":  {func(r *request) { r.body["possession"] = other.possession(r.token) }, 422, "key_signature_invalid", "possession"},
		"possession replayed":  {func(r *request) { r.body["possession"] = u.possession("another token") }, 422, "key_signature_invalid", "possession"},
		"identity of other": {func(r *request) {
			identity := other.identity.PublicKey().PublicKey()
			set(r.body, "keys.identity_key", encode64(identity[:]))
		}, 422, "key_signature_invalid", "possession"},

		"no client":       {member("client", nil), 400, "invalid_request", "client"},
		"mode":            {member("client.mode", "server"), 400, "invalid_request", "client.mode"},
		"address":         {member("client.ip", "localhost"), 400, "invalid_request", "client.ip"},
		"no country":      {member("client.country", ""), 400, "invalid_request", "client.country"},
		"country in case": {member("client.country", "de"), 400, "invalid_request", "client.country"},
		"outside the EEA": {member("client.country", "US"), 451, "region_not_allowed", "client.country"},
		"left the EU":     {member("client.country", "GB"), 451, "region_not_allowed", "client.country"},
		"no consent":      {member("consent", nil), 403, "consent_missing", "consent"},
		"no notice":       {member("consent.notice_version", ""), 403, "consent_missing", "consent"},
		"never accepted":  {member("consent.accepted_at", 0), 403, "consent_missing", "consent"},
		"consent ahead":   {member("consent.accepted_at", p.n.now().Unix()+3600), 400, "invalid_request", "consent.accepted_at"},

		"identifier taken": {func(r *request) {
			thief := newTestUser(t, "u_thief", known.email)
			*r = p.enlistRequest(thief)
		}, 409, "identifier_taken", "identifier.value"},
		"other keys": {func(r *request) {
			*r = p.enlistRequest(newTestUser(t, known.subject, known.email))
		}, 409, "identity_mismatch", "keys"},
		"other identifier": {func(r *request) {
			moved := *known
			moved.email = "moved@example.eu"
			*r = p.enlistRequest(&moved)
		}, 409, "identity_mismatch", "identifier.value"},
		"unknown path":   {func(r *request) { r.path = "/v2/enlistments" }, 400, "invalid_request", ""},
		"unknown method": {func(r *request) { r.method = http.MethodPut }, 400, "invalid_request", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.enlistRequest(u)
			test.bend(&r)
			a := p.do(r)
			require.Equal(t, test.status, a.status, a.raw)
			require.Equal(t, test.code, a.code(), a.raw)
			refused := a.body["error"].(map[string]any)
			field, _ := refused["field"].(string)
			require.Equal(t, test.field, field, a.raw)
			require.NotEmpty(t, refused["message"])
			require.Contains(t, refused, "retryable")
			if name != "no request id" {
				require.NotEmpty(t, refused["request_id"])
			}
		})
	}
	require.Len(t, p.n.Enlistments(), 1, "nothing that was refused had an effect")
	p.enlist(u)
}

func (p *testProvider) strangersToken(u *testUser) string {
	mine := p.key
	defer func() { p.key = mine }()
	p.key = newSigningKey(p.t, "ES256")
	return p.token(p.claims(u, "enlist"))
}

func TestEnlistmentTokenIsUsedOnce(t *testing.T) {
	p := newTestProvider(t)
	r := p.enlistRequest(userNumber(t, 1))
	require.Equal(t, http.StatusCreated, p.do(r).status)
	a := p.do(r)
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Equal(t, "token_replayed", a.code())
}

func TestIntegratorRemoved(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	p.enlist(u)
	require.NoError(t, p.n.AddIntegrator(Integrator{ID: testIntegrator, Issuer: p.url, Status: "removed"}))
	a := p.do(p.enlistRequest(u))
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "integrator_inactive", a.code())
}

func TestProductsAreEnlistedSeparately(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	first := p.enlist(u)
	u.subject = "u_0001_m"
	r := p.enlistRequest(u)
	c := p.claims(u, "enlist")
	c["aud"] = "urn:meta:interop:messenger"
	r.token = p.token(c)
	r.body["product"], r.body["possession"] = "messenger", u.possession(r.token)
	second := p.do(r)
	require.Equal(t, http.StatusCreated, second.status, second.raw)
	require.NotEqual(t, first.text("account_id"), second.text("account_id"))

	a := p.do(request{method: http.MethodGet, path: p.pathOf(second), token: p.token(p.claims(u, "enlist"))})
	require.Equal(t, "enlistment_not_found", a.code(), "a token for the other product")

	require.NoError(t, p.n.AddIntegrator(Integrator{ID: testIntegrator, Issuer: p.url, Products: []string{"messenger"}}))
	a = p.do(p.enlistRequest(userNumber(t, 2)))
	require.Equal(t, "invalid_request", a.code())
}

func TestIdempotentReplay(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	key := map[string]string{"Idempotency-Key": uuid.NewString()}
	send := func(change func(*request)) answer {
		r := p.enlistRequest(u)
		r.header = key
		if change != nil {
			change(&r)
		}
		return p.do(r)
	}
	first := send(func(r *request) { r.body["consent"] = map[string]any{"notice_version": "1", "accepted_at": 1790000000} })
	require.Equal(t, http.StatusCreated, first.status)
	repeat := func(r *request) { r.body["consent"] = map[string]any{"notice_version": "1", "accepted_at": 1790000000} }

	again := send(repeat) // with a fresh token and so another proof of possession
	require.Equal(t, http.StatusOK, again.status)
	require.Equal(t, first.body, again.body)

	conflict := send(func(r *request) { repeat(r); r.body["display_name"] = "Eve" })
	require.Equal(t, http.StatusConflict, conflict.status)
	require.Equal(t, "idempotency_conflict", conflict.code())
	require.Equal(t, "Anna", p.n.Enlistments()[0].DisplayName)

	require.NoError(t, p.n.SetEnlistment(first.text("account_id"), "suspended"))
	require.Equal(t, "active", send(repeat).text("status"), "the stored answer")

	p.clock.advance(24*time.Hour + time.Second)
	late := send(repeat)
	require.Equal(t, "account_suspended", late.code(), "the key is forgotten, the request is a new one")
}

func TestOneOfConcurrentRepetitionsHasAnEffect(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	var requests []request
	for range 8 {
		r := p.enlistRequest(u)
		r.header = map[string]string{"Idempotency-Key": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}
		requests = append(requests, r)
	}
	statuses := make(chan int, len(requests))
	var group sync.WaitGroup
	for _, r := range requests {
		group.Go(func() {
			a, err := p.try(r)
			if err != nil {
				t.Error(err)
			}
			statuses <- a.status
		})
	}
	group.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	require.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusOK: 7}, count)
	require.Len(t, p.n.Enlistments(), 1)
}

func TestAccountIDsAreNobodysNumber(t *testing.T) {
	p := newTestProvider(t)
	seen := map[string]bool{}
	var first string
	for i := range 50 {
		account := p.enlist(userNumber(t, i)).text("account_id")
		first = orElse(first, account)
		require.Len(t, account, 15)
		require.False(t, seen[account])
		seen[account] = true
	}
	other := newTestProvider(t)
	require.Equal(t, first, other.enlist(userNumber(t, 0)).text("account_id"), "the seed decides")
}

func TestShortAccountIDsCollideOnPurpose(t *testing.T) {
	p := newTestProvider(t, ShortAccountIDs())
	phone := p.n.WhatsApp("+4915110000001", "Bob").Phone()
	first := p.enlist(userNumber(t, 1))
	require.Equal(t, phone, "+"+first.text("account_id"))
	require.NotEqual(t, first.text("account_id"), p.enlist(userNumber(t, 2)).text("account_id"))

	issuer := p.url
	require.NoError(t, p.n.AddIntegrator(Integrator{ID: testIntegrator, Issuer: "http://127.0.0.1:1"}))
	require.NoError(t, p.n.AddIntegrator(Integrator{ID: 13, Issuer: issuer, IdentifierType: "email"}))
	require.Equal(t, first.text("account_id"), p.enlist(userNumber(t, 3)).text("account_id"), "another integrator's account")
}

func TestIdentifierTypes(t *testing.T) {
	for kind, values := range map[string]map[string]bool{
		"email":    {"anna@example.eu": true, "anna": false, "a@b@c": false, "@b": false, "a b@c": false},
		"pn":       {"+4915110000001": true, "4915110000001": false, "+0151": false, "+49151abc": false, "+1234567890123456": false},
		"username": {"anna": true, "@anna:example.eu": true, "": false, "a\u00a0b": false, strings.Repeat("a", 101): false},
		"icq":      {"anna": false},
	} {
		for value, want := range values {
			_, ok := normalizeIdentifier(kind, value)
			require.Equal(t, want, ok, "%s %q", kind, value)
		}
	}
	normalized, _ := normalizeIdentifier("email", "Anna@Example.EU")
	require.Equal(t, "anna@example.eu", normalized)
}

func TestEEA(t *testing.T) {
	for _, country := range []string{"DE", "IS", "LI", "NO"} {
		require.True(t, inEEA(country), country)
	}
	for _, country := range []string{"CH", "GB", "US", "EU", ""} {
		require.False(t, inEEA(country), country)
	}
}

func TestEnlistedAddressesAreDistinct(t *testing.T) {
	p := newTestProvider(t)
	jids := map[string]bool{}
	for i := range 3 {
		jids[p.enlist(userNumber(t, i)).text("jid")] = true
	}
	require.Len(t, jids, 3)
	for jid := range jids {
		parsed, err := parseJID(jid)
		require.NoError(t, err)
		require.Equal(t, jid, fmt.Sprintf("%d-%s@interop", parsed.Integrator, parsed.User))
	}
}
