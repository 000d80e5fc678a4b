package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTokenOfEachPurpose(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)

	c, refused := p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "whatsapp")
	require.Nil(t, refused)
	require.Equal(t, &claims{Issuer: p.url, Subject: u.subject, Audience: "urn:meta:interop:whatsapp", Product: "whatsapp",
		IdentifierType: "email", Identifier: u.email, NoiseKey: u.noise, Integrator: testIntegrator}, c)

	connect := p.claims(u, "connect")
	connect["account_id"] = "105012705411308"
	c, refused = p.n.verifyToken(p.token(connect), "connect", "whatsapp")
	require.Nil(t, refused)
	require.Equal(t, "105012705411308", c.AccountID)

	c, refused = p.n.verifyToken(p.token(p.partnerClaims()), "partner", "")
	require.Nil(t, refused)
	require.Equal(t, "partner", c.Subject)

	p.key = newSigningKey(t, "EdDSA")
	p.publish(p.key)
	_, refused = p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "whatsapp")
	require.Nil(t, refused)
	require.Empty(t, p.n.Findings())
}

func TestTokenAttacks(t *testing.T) {
	p := newTestProvider(t)
	second := newSigningKey(t, "EdDSA")
	p.publish(p.key, second)
	u := userNumber(t, 1)
	// bent is a token whose header and claims were changed before signing.
	bent := func(bend func(h, c map[string]any)) func() string {
		return func() string {
			h, c := p.header(), p.claims(u, "connect")
			c["account_id"] = "105012705411308"
			bend(h, c)
			return p.sign(h, c)
		}
	}
	claim := func(path string, value any) func() string {
		return bent(func(_, c map[string]any) { set(c, path, value) })
	}
	header := func(name string, value any) func() string {
		return bent(func(h, _ map[string]any) { set(h, name, value) })
	}
	// remade is a good token whose text was changed after signing.
	remade := func(change func(parts []string) string) func() string {
		return func() string { return change(strings.Split(bent(func(_, _ map[string]any) {})(), ".")) }
	}
	join := func(parts ...string) string { return strings.Join(parts, ".") }
	good := func() (string, string) {
		now := p.n.now().Unix()
		return fmt.Sprintf(`{"typ":"JWT","alg":"ES256","kid":%q}`, p.key.kid),
			fmt.Sprintf(`{"iss":%q,"sub":"u","aud":"urn:meta:interop:whatsapp","iat":%d,"exp":%d}`, p.url, now, now+300)
	}
	at := func(offset time.Duration) int64 { return p.n.now().Add(offset).Unix() }

	for name, test := range map[string]struct {
		token func() string
		code  string
	}{
		"alg none": {remade(func(s []string) string {
			return join(encode64([]byte(`{"typ":"JWT","alg":"none","kid":"`+p.key.kid+`"}`)), s[1], "")
		}), codeTokenInvalid},
		"HMAC with the public key": {remade(func(s []string) string {
			h := encode64([]byte(`{"typ":"JWT","alg":"HS256","kid":"` + p.key.kid + `"}`))
			mac := hmac.New(sha256.New, []byte(p.key.public["x"].(string)))
			mac.Write([]byte(h + "." + s[1]))
			return join(h, s[1], encode64(mac.Sum(nil)))
		}), codeTokenInvalid},
		"kid is a path":            {header("kid", "../../etc/passwd"), codeKeyUnknown},
		"kid of another algorithm": {header("kid", second.kid), codeTokenInvalid},
		"no kid":                   {header("kid", nil), codeTokenInvalid},
		"jku":                      {header("jku", "http://127.0.0.1/keys"), codeTokenInvalid},
		"x5u":                      {header("x5u", "http://127.0.0.1/cert"), codeTokenInvalid},
		"x5c":                      {header("x5c", []string{"AA"}), codeTokenInvalid},
		"jwk":                      {header("jwk", p.key.public), codeTokenInvalid},
		"crit":                     {header("crit", []string{"exp"}), codeTokenInvalid},
		"zip":                      {header("zip", "DEF"), codeTokenInvalid},
		"bad typ":                  {header("typ", "at+jwt"), codeTokenInvalid},
		"no typ":                   {header("typ", nil), codeTokenInvalid},
		"alg in lower case":        {header("alg", "es256"), codeTokenInvalid},

		"expired":                {claim("exp", at(-2*time.Minute)), codeTokenExpired},
		"exp just past the skew": {bent(func(_, c map[string]any) { c["iat"], c["exp"] = at(-300*time.Second), at(-60*time.Second) }), codeTokenExpired},
		"exp a year ahead":       {claim("exp", at(365*24*time.Hour)), codeTokenExpired},
		"life over ten minutes":  {claim("exp", at(601*time.Second)), codeTokenExpired},
		"nbf in the future":      {claim("nbf", at(2*time.Minute)), codeTokenExpired},
		"iat in the future":      {bent(func(_, c map[string]any) { c["iat"], c["exp"] = at(2*time.Minute), at(3*time.Minute) }), codeTokenExpired},
		"exp before iat":         {claim("exp", at(-time.Second)), codeTokenExpired},
		"exp is a string":        {claim("exp", "1790000000"), codeTokenInvalid},
		"exp is broken":          {claim("exp", 1.5e9+0.5), codeTokenInvalid},
		"no nbf":                 {claim("nbf", nil), codeTokenInvalid},
		"auth_time ahead":        {claim("auth_time", at(time.Hour)), codeTokenInvalid},

		"aud is an array":       {claim("aud", []string{"urn:meta:interop:whatsapp"}), codeTokenInvalid},
		"aud is a prefix":       {claim("aud", "urn:meta:interop:whats"), codeTokenInvalid},
		"aud is longer":         {claim("aud", "urn:meta:interop:whatsapp:x"), codeTokenInvalid},
		"aud of the other":      {claim("aud", "urn:meta:interop:messenger"), codeTokenInvalid},
		"iss in other case":     {bent(func(_, c map[string]any) { c["iss"] = strings.ToUpper(p.url) }), codeTokenInvalid},
		"iss with a slash":      {bent(func(_, c map[string]any) { c["iss"] = p.url + "/" }), codeTokenInvalid},
		"iss unknown":           {claim("iss", "http://127.0.0.1:1"), codeTokenInvalid},
		"no iss":                {claim("iss", nil), codeTokenInvalid},
		"purpose of another":    {claim("purpose", "enlist"), codeTokenInvalid},
		"jti too short":         {claim("jti", "AAAA"), codeTokenInvalid},
		"no jti":                {claim("jti", nil), codeTokenInvalid},
		"sub is the partner's":  {claim("sub", "partner"), codeTokenInvalid},
		"sub too long":          {claim("sub", strings.Repeat("u", 65)), codeTokenInvalid},
		"email differs":         {claim("email", "eve@example.eu"), codeTokenInvalid},
		"email unverified":      {claim("email_verified", false), codeTokenInvalid},
		"email verified text":   {claim("email_verified", "true"), codeTokenInvalid},
		"identifier upper case": {bent(func(_, c map[string]any) { c["identifier"], c["email"] = "User1@example.eu", "User1@example.eu" }), codeTokenInvalid},
		"identifier type":       {claim("identifier_type", "pn"), codeTokenInvalid},
		"no account_id":         {claim("account_id", nil), codeTokenInvalid},
		"account_id number":     {claim("account_id", 105012705411308), codeTokenInvalid},
		"account_id leading 0":  {claim("account_id", "0105012705411"), codeTokenInvalid},
		"no cnf":                {claim("cnf", nil), codeTokenInvalid},
		"cnf of another curve":  {claim("cnf.jwk.crv", "Ed25519"), codeTokenInvalid},
		"cnf short":             {claim("cnf.jwk.x", "AAAA"), codeTokenInvalid},
		"cnf with private part": {claim("cnf.jwk.d", encode64(make([]byte, 32))), codeTokenInvalid},

		"duplicate claims": {func() string {
			h, c := good()
			return p.signText(h, strings.Replace(c, `"sub":"u"`, `"sub":"u","sub":"v"`, 1))
		}, codeTokenInvalid},
		"duplicate header": {func() string {
			h, c := good()
			return p.signText(strings.Replace(h, `"typ":"JWT"`, `"typ":"JWT","alg":"ES256"`, 1), c)
		}, codeTokenInvalid},
		"duplicate deep inside": {func() string {
			h, c := good()
			return p.signText(h, strings.Replace(c, `"sub":"u"`, `"cnf":{"jwk":{"x":"a","x":"b"}}`, 1))
		}, codeTokenInvalid},
		"data after the claims": {func() string { h, c := good(); return p.signText(h, c+"{}") }, codeTokenInvalid},
		"nested too deeply": {func() string {
			h, c := good()
			return p.signText(h, strings.Replace(c, `"sub":"u"`, `"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000), 1))
		}, codeTokenInvalid},
		"nine kilobytes":        {claim("name", strings.Repeat("n", 9<<10)), codeTokenInvalid},
		"name too long":         {claim("name", strings.Repeat("n", 65)), codeTokenInvalid},
		"empty":                 {func() string { return "" }, codeTokenInvalid},
		"two parts":             {remade(func(s []string) string { return join(s[:2]...) }), codeTokenInvalid},
		"four parts":            {remade(func(s []string) string { return join(s[0], s[1], s[2], "") }), codeTokenInvalid},
		"padded base64":         {remade(func(s []string) string { return join(s[0], s[1], s[2]+"==") }), codeTokenInvalid},
		"line break in base64":  {remade(func(s []string) string { return join(s[0], s[1], s[2][:10]+"\n"+s[2][10:]) }), codeTokenInvalid},
		"standard base64":       {remade(func(s []string) string { return join(s[0], s[1], strings.Repeat("+/", 43)) }), codeTokenInvalid},
		"stray bits":            {remade(func(s []string) string { return join(s[0], s[1], s[2][:85]+"B") }), codeTokenInvalid},
		"signature all zero":    {remade(func(s []string) string { return join(s[0], s[1], encode64(make([]byte, 64))) }), codeTokenInvalid},
		"signature empty":       {remade(func(s []string) string { return join(s[0], s[1], "") }), codeTokenInvalid},
		"signature of another":  {func() string { return resigned(p, u) }, codeTokenInvalid},
		"claims of another":     {func() string { return spliced(p, u) }, codeTokenInvalid},
		"JSON web token as XML": {func() string { return join(encode64([]byte("<a/>")), encode64([]byte("<b/>")), "") }, codeTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, refused := p.n.verifyToken(test.token(), "connect", "whatsapp")
			require.NotNil(t, refused)
			require.Equal(t, test.code, refused.Code, refused.Reason)
		})
	}
	// The unbent token is a good one: nothing above was refused for another reason than its own.
	_, refused := p.n.verifyToken(bent(func(_, _ map[string]any) {})(), "connect", "whatsapp")
	require.Nil(t, refused)
}

// resigned is a good token signed by a key that the issuer did not publish, under the published kid.
func resigned(p *testProvider, u *testUser) string {
	mine := p.key
	defer func() { p.key = mine }()
	stranger := newSigningKey(p.t, "ES256")
	stranger.kid = mine.kid
	p.key = stranger
	return p.token(p.claims(u, "connect"))
}

// spliced is a token with the claims of one and the signature of another.
func spliced(p *testProvider, u *testUser) string {
	first, second := strings.Split(p.token(p.claims(u, "connect")), "."), strings.Split(p.token(p.claims(u, "connect")), ".")
	return first[0] + "." + first[1] + "." + second[2]
}

func TestTokenIsUsedOnce(t *testing.T) {
	p := newTestProvider(t)
	c := p.claims(userNumber(t, 1), "enlist")
	_, refused := p.n.verifyToken(p.token(c), "enlist", "")
	require.Nil(t, refused)
	_, refused = p.n.verifyToken(p.token(c), "enlist", "")
	require.Equal(t, codeTokenReplayed, refused.Code)

	p.clock.advance(355 * time.Second) // still within exp and skew
	_, refused = p.n.verifyToken(p.token(c), "enlist", "")
	require.Equal(t, codeTokenReplayed, refused.Code)

	p.clock.advance(10 * time.Second)
	_, refused = p.n.verifyToken(p.token(c), "enlist", "")
	require.Equal(t, codeTokenExpired, refused.Code)

	c["iat"], c["nbf"], c["exp"], c["aud"] = p.n.now().Unix(), p.n.now().Unix(), p.n.now().Unix()+300, "urn:meta:interop:messenger"
	_, refused = p.n.verifyToken(p.token(c), "enlist", "messenger")
	require.Nil(t, refused, "the same jti is another token at another audience")
}

func TestTokenWithinTheSkew(t *testing.T) {
	p := newTestProvider(t)
	for _, offset := range []int64{-59, 59} {
		c := p.claims(userNumber(t, 1), "enlist")
		now := p.n.now().Unix()
		if offset < 0 {
			c["iat"], c["nbf"], c["exp"] = now-300, now-300, now+offset
		} else {
			c["iat"], c["nbf"], c["exp"] = now+offset, now+offset, now+offset+300
		}
		_, refused := p.n.verifyToken(p.token(c), "enlist", "")
		require.Nil(t, refused, "%d", offset)
	}
}

func TestTokenOfAnIntegratorThatIsNotActive(t *testing.T) {
	for _, status := range []string{"onboarding", "removed"} {
		p := newTestProvider(t)
		require.NoError(t, p.n.AddIntegrator(Integrator{ID: testIntegrator, Issuer: p.url, Status: status}))
		_, refused := p.n.verifyToken(p.token(p.claims(userNumber(t, 1), "enlist")), "enlist", "")
		require.NotNil(t, refused)
		require.Equal(t, codeIntegratorInactive, refused.Code)
		require.Zero(t, p.keySetReads(), "nobody calls an integrator that is not active")
	}
}

func TestPartnerTokenMustSpeakForThePartner(t *testing.T) {
	p := newTestProvider(t)
	c := p.partnerClaims()
	c["sub"] = "u_1"
	_, refused := p.n.verifyToken(p.token(c), "partner", "")
	require.Equal(t, codeTokenInvalid, refused.Code)
	require.Equal(t, "token-invalid", p.n.Findings()[0].Kind)
}

func TestUnreachableIssuer(t *testing.T) {
	p := newTestProvider(t)
	require.NoError(t, p.n.AddIntegrator(Integrator{ID: testIntegrator, Issuer: "http://127.0.0.1:1"}))
	c := p.claims(userNumber(t, 1), "enlist")
	c["iss"] = "http://127.0.0.1:1"
	_, refused := p.n.verifyToken(p.token(c), "enlist", "")
	require.Equal(t, codeKeyUnknown, refused.Code)

	require.NoError(t, p.n.AddIntegrator(Integrator{ID: testIntegrator, Issuer: "http://192.0.2.1"}))
	c["iss"] = "http://192.0.2.1"
	_, refused = p.n.verifyToken(p.token(c), "enlist", "")
	require.Equal(t, codeKeyUnknown, refused.Code)
	require.Contains(t, refused.Reason, "loopback", "nothing is dialled off this machine")
}

func TestIssuerMayNotSendTheNetworkElsewhere(t *testing.T) {
	p := newTestProvider(t)
	c := func() string { return p.token(p.claims(userNumber(t, 1), "enlist")) }
	p.answerWith(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusFound)
		return true
	})
	_, refused := p.n.verifyToken(c(), "enlist", "")
	require.Equal(t, codeKeyUnknown, refused.Code)
	require.Contains(t, refused.Reason, "302")
}
