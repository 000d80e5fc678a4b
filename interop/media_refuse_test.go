package interop

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// requireRefused checks the status of an answer that says nothing besides.
func requireRefused(t *testing.T, status int, response *http.Response, what ...any) {
	t.Helper()
	require.Equal(t, status, response.StatusCode, what...)
	require.Equal(t, refused, string(content(t, response)), what...)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"), what...)
}

// Tokens that are not those of the network's proxy (docs/protocol.md#token, docs/protocol.md#media).
func TestProxyTokensAreChecked(t *testing.T) {
	w := newMediaWorld(t)
	file := w.hosted(t, []byte("ciphertext"))
	p := w.proxy
	with := func(name string, value any) func() string {
		return func() string {
			claims := p.claims(file.blob)
			claims[name] = value
			return p.sign(claims)
		}
	}
	at := func(name string, offset time.Duration) func() string {
		return func() string {
			claims := p.claims(file.blob)
			claims[name] = p.now().Add(offset).Unix()
			return p.sign(claims)
		}
	}
	lived := func(issued, expires time.Duration) func() string {
		return func() string {
			claims := p.claims(file.blob)
			claims["iat"], claims["exp"] = p.now().Add(issued).Unix(), p.now().Add(expires).Unix()
			return p.sign(claims)
		}
	}
	head := func(name string, value any) func() string {
		return func() string {
			return p.sign(p.claims(file.blob), func(token *jwt.Token) { token.Header[name] = value })
		}
	}
	raw := func(change func(head, payload, signature string) string) func() string {
		return func() string {
			parts := strings.Split(p.token(file.blob), ".")
			return change(parts[0], parts[1], parts[2])
		}
	}
	encode := base64.RawURLEncoding.EncodeToString
	point, err := p.key.PublicKey.Bytes()
	require.NoError(t, err)
	for name, test := range map[string]struct {
		token  func() string
		status int
	}{
		"good":              {func() string { return p.token(file.blob) }, 200},
		"good with nbf":     {at("nbf", 0), 200},
		"clock behind ours": {lived(-6*time.Minute+2*time.Second, -time.Minute+2*time.Second), 200},
		"clock before ours": {lived(50*time.Second, 4*time.Minute), 200},
		"missing":           {func() string { return "" }, 401},
		"other path":        {with("path", "/"+strings.Repeat("A", 43)), 403},
		"no path":           {with("path", ""), 403},
		"path in base":      {with("path", "/media/"+file.blob), 403},
		"no slash":          {with("path", file.blob), 403},
		"issuer":            {with("iss", "https://issuer.example.com"), 401},
		"issuer's case":     {with("iss", strings.ToUpper(p.server.URL)), 401},
		"issuer with slash": {with("iss", p.server.URL+"/"), 401},
		"audience":          {with("aud", "https://other.example.eu"), 401},
		"audience's prefix": {with("aud", mediaOrigin+"/media"), 401},
		"audience array":    {with("aud", []string{mediaOrigin}), 401},
		"subject":           {with("sub", "partner"), 401},
		"expired":           {lived(-6*time.Minute, -61*time.Second), 401},
		"too long":          {lived(0, 301*time.Second), 401},
		"a year":            {lived(0, 365*24*time.Hour), 401},
		"ends before":       {lived(0, -time.Second), 401},
		"not yet":           {lived(62*time.Second, 2*time.Minute), 401},
		"nbf in future":     {at("nbf", 62*time.Second), 401},
		"no iat":            {with("iat", nil), 401},
		"no exp":            {with("exp", nil), 401},
		"exp as text":       {with("exp", "1790000300"), 401},
		"huge exp":          {with("exp", json.Number("1e300")), 401},
		"no jti":            {with("jti", ""), 401},
		"long jti":          {with("jti", strings.Repeat("x", 129)), 401},
		"large":             {with("more", strings.Repeat("x", 9<<10)), 401},
		"typ":               {head("typ", "at+jwt"), 401},
		"no typ":            {head("typ", nil), 401},
		"kid":               {head("kid", "../../etc/passwd"), 401},
		"no kid":            {head("kid", ""), 401},
		"kid as number":     {head("kid", 1), 401},
		"jku":               {head("jku", p.server.URL), 401},
		"x5u":               {head("x5u", p.server.URL), 401},
		"x5c":               {head("x5c", []string{"x"}), 401},
		"jwk":               {head("jwk", map[string]string{"kty": "EC"}), 401},
		"crit":              {head("crit", []string{"exp"}), 401},
		"zip":               {head("zip", "DEF"), 401},
		"alg in head":       {head("alg", "EdDSA"), 401},
		"none": {raw(func(_, payload, _ string) string {
			return encode([]byte(`{"alg":"none","typ":"JWT","kid":"`+p.kid+`"}`)) + "." + payload + "."
		}), 401},
		"HMAC with the public key": {func() string {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, p.claims(file.blob))
			token.Header["kid"] = p.kid
			signed, err := token.SignedString(point)
			require.NoError(t, err)
			return signed
		}, 401},
		"signature all zero": {raw(func(head, payload, _ string) string { return head + "." + payload + "." + encode(make([]byte, 64)) }), 401},
		"padded":             {raw(func(head, payload, signature string) string { return head + "." + payload + "." + signature + "==" }), 401},
		"line end":           {raw(func(head, payload, signature string) string { return head + "." + payload + "\n." + signature }), 401},
		"four parts":         {raw(func(head, payload, signature string) string { return head + "." + payload + "." + signature + "." }), 401},
		"JSON form": {raw(func(head, payload, signature string) string {
			return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, head, payload, signature)
		}), 401},
		"claim twice": {func() string { return p.signRaw(t, `{"aud":"https://other.example.eu",`, file.blob) }, 401},
		"claim in other case twice": {func() string {
			return p.signRaw(t, `{"AUD":"https://other.example.eu",`, file.blob)
		}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			response := w.ask(http.MethodGet, file.target(), test.token(), nil)
			if test.status == http.StatusOK {
				require.Equal(t, http.StatusOK, response.StatusCode)
				return
			}
			requireRefused(t, test.status, response)
		})
	}
	for _, header := range [][]string{{"Basic x"}, {"Bearer"}, {"Bearer "}, {p.token(file.blob)}, {"Bearer " + p.token(file.blob), "Bearer x"}} {
		requireRefused(t, 401, w.ask(http.MethodGet, file.target(), "", http.Header{"Authorization": header}), header)
	}
	require.Equal(t, 200, w.ask(http.MethodGet, file.target(), "", http.Header{"Authorization": {"bearer " + p.token(file.blob)}}).StatusCode)
}

// signRaw signs a payload that begins with a text of one's own.
func (p *playedProxy) signRaw(t *testing.T, begin, blob string) string {
	t.Helper()
	claims, err := json.Marshal(p.claims(blob))
	require.NoError(t, err)
	head, err := json.Marshal(map[string]string{"alg": "ES256", "typ": "JWT", "kid": p.kid})
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	text := encode(head) + "." + encode([]byte(begin+string(claims[1:])))
	signature, err := jwt.SigningMethodES256.Sign(text, p.key)
	require.NoError(t, err)
	require.Equal(t, elliptic.P256(), p.key.Curve)
	return text + "." + encode(signature)
}

// A token that was overheard opens nothing.
func TestProxyTokensAreGoodOnce(t *testing.T) {
	w := newMediaWorld(t)
	file, other := w.hosted(t, []byte("ciphertext")), w.hosted(t, []byte("other"))
	token := w.proxy.token(file.blob)
	require.Equal(t, 200, w.ask(http.MethodGet, file.target(), token, nil).StatusCode)
	requireRefused(t, 401, w.ask(http.MethodGet, file.target(), token, nil))
	requireRefused(t, 403, w.ask(http.MethodGet, other.target(), w.proxy.token(file.blob), nil))
	w.clock.advance(6*time.Minute + time.Second)
	requireRefused(t, 401, w.ask(http.MethodGet, file.target(), token, nil))
	require.Equal(t, 200, w.fetch(file, nil).StatusCode)
	require.Len(t, w.media.proxy.used, 1, "what is too old is not remembered")
}

// Each character of a path and of a token counts.
func TestAlteredPathsAndTokens(t *testing.T) {
	w := newMediaWorld(t)
	file := w.hosted(t, []byte("ciphertext"))
	for i := range file.blob {
		for _, text := range alterations(file.blob, i) {
			requireRefused(t, 404, w.fetch(hostedFile{text, file.oe, file.oh}, nil), text)
		}
	}
	for i := range file.oe {
		for _, text := range alterations(file.oe, i) {
			requireRefused(t, 404, w.fetch(hostedFile{file.blob, text, file.oh}, nil), text)
		}
	}
	for i := range file.oh {
		for _, text := range alterations(file.oh, i) {
			requireRefused(t, 404, w.fetch(hostedFile{file.blob, file.oe, text}, nil), text)
		}
	}
	token := w.proxy.token(file.blob)
	for i := range token {
		for _, text := range alterations(token, i) {
			requireRefused(t, 401, w.ask(http.MethodGet, file.target(), text, nil), text)
		}
	}
	require.Equal(t, 200, w.ask(http.MethodGet, file.target(), token, nil).StatusCode, "it was good all the time")
}

// alterations are texts that differ from one in a single place, among them the neighbours whose spare bits differ alone.
func alterations(text string, at int) []string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var all []string
	value := strings.IndexByte(alphabet, text[at])
	for _, other := range []int{value ^ 1, value ^ 2, value ^ 32} {
		if value >= 0 {
			all = append(all, text[:at]+alphabet[other:other+1]+text[at+1:])
		}
	}
	all = append(all, text[:at]+"~"+text[at+1:])
	for _, folded := range []string{strings.ToUpper(text[at : at+1]), strings.ToLower(text[at : at+1])} {
		if changed := text[:at] + folded + text[at+1:]; changed != text {
			all = append(all, changed)
		}
	}
	return all
}

// Whatever is not there, is over or is wrongly asked for looks the same.
func TestNotFoundIsOneAnswer(t *testing.T) {
	w := newMediaWorld(t)
	file, other, gone, altered := w.hosted(t, []byte("ciphertext")), w.hosted(t, []byte("ciphertext")), w.hosted(t, []byte("gone")), w.hosted(t, []byte("altered"))
	unknown := strings.Repeat("A", 43)
	require.NoError(t, w.db.DeleteMedia(t.Context(), gone.blob))
	path := filepath.Join(w.dir, "media", altered.blob)
	require.NoError(t, os.WriteFile(path, []byte("ALTERED"), 0o600))
	longer := w.hosted(t, []byte("longer"))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "media", longer.blob), []byte("longer!"), 0o600))
	lost := w.hosted(t, []byte("lost"))
	require.NoError(t, os.Remove(filepath.Join(w.dir, "media", lost.blob)))

	var first http.Header
	for name, f := range map[string]hostedFile{
		"unknown": {unknown, file.oe, file.oh}, "deleted": gone, "altered on disk": altered, "longer on disk": longer, "lost on disk": lost,
		"signature of another": {file.blob, file.oe, other.oh}, "no signature": {file.blob, file.oe, ""}, "no expiry": {file.blob, "", file.oh},
		"shorter": {file.blob, file.oe, file.oh[:42]}, "longer signature": {file.blob, file.oe, file.oh + "A"},
		"padded": {file.blob, file.oe, file.oh + "%3D"}, "line end": {file.blob, file.oe, file.oh[:20] + "%0A" + file.oh[20:]},
		"expiry in capitals": {file.blob, strings.ToUpper(file.oe), file.oh}, "expiry with zero": {file.blob, "0" + file.oe, file.oh},
		"expiry twice": {file.blob, file.oe + "&oe=" + file.oe, file.oh}, "signature twice": {file.blob, file.oe, file.oh + "&oh=" + file.oh},
		"all zero": {file.blob, file.oe, base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				response := w.ask(method, f.target(), w.proxy.token(f.blob), nil)
				requireRefused(t, 404, response)
				response.Header.Del("X-Request-Id")
				if first == nil {
					first = response.Header
				}
				require.Equal(t, first, response.Header)
			}
		})
	}
	for _, target := range []string{"/media", "/media/", "/media/" + file.blob[:42], "/media/" + file.blob + "/", "/media/../media/" + unknown + "x"} {
		requireRefused(t, 404, w.ask(http.MethodGet, target, w.proxy.token(file.blob), nil), target)
	}
	require.Equal(t, 200, w.fetch(file, nil).StatusCode)
}

func TestOtherMethodsAreRefused(t *testing.T) {
	w := newMediaWorld(t)
	file := w.hosted(t, []byte("ciphertext"))
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		response := w.ask(method, file.target(), w.proxy.token(file.blob), nil)
		requireRefused(t, 405, response)
		require.Equal(t, "GET, HEAD", response.Header.Get("Allow"))
	}
}

func TestGuessingIsLimited(t *testing.T) {
	w := newMediaWorld(t)
	file := w.hosted(t, []byte("ciphertext"))
	from := func(address, blob string) int {
		request := httptest.NewRequest(http.MethodGet, hostedFile{blob, file.oe, file.oh}.target(), nil)
		request.RemoteAddr = address + ":1"
		request.Header.Set("Authorization", "Bearer "+w.proxy.token(blob))
		recorder := httptest.NewRecorder()
		w.Handler().ServeHTTP(recorder, request)
		if recorder.Code == http.StatusTooManyRequests {
			require.Equal(t, "60", recorder.Header().Get("Retry-After"))
		}
		return recorder.Code
	}
	for range 30 {
		require.Equal(t, 200, from("198.51.100.1", file.blob), "what was announced may be fetched as often as needed")
	}
	var statuses []int
	for range 70 {
		statuses = append(statuses, from("198.51.100.1", strings.Repeat("A", 43)))
	}
	require.Equal(t, slices.Concat(slices.Repeat([]int{404}, 60), slices.Repeat([]int{429}, 10)), statuses)
	require.Equal(t, 200, from("198.51.100.2", file.blob), "others are not held up")
	response := ask(w.Handler(), http.MethodGet, keySetPath, nil)
	require.Equal(t, 200, response.StatusCode, "nor is the key set")
	w.clock.advance(time.Second)
	require.Equal(t, 200, from("198.51.100.1", file.blob))
}

func TestAtMostSixteenAtOnce(t *testing.T) {
	w := newMediaWorld(t)
	file := w.hosted(t, []byte("ciphertext"))
	for range 16 {
		w.media.slots <- struct{}{}
	}
	response := w.fetch(file, nil)
	requireRefused(t, 503, response)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	<-w.media.slots
	require.Equal(t, 200, w.fetch(file, nil).StatusCode)
	require.Len(t, w.media.slots, 15, "an answer gives its place back")
}

// The issuer's keys are read when needed, and not more often than agreed.
func TestIssuerKeys(t *testing.T) {
	w := newMediaWorld(t)
	file := w.hosted(t, []byte("ciphertext"))
	status := func() int { return w.fetch(file, nil).StatusCode }
	require.Equal(t, 200, status())
	require.Equal(t, 200, status())
	require.Equal(t, 1, w.proxy.readSoFar())
	w.clock.advance(5 * time.Minute)
	require.Equal(t, 200, status())
	require.Equal(t, 2, w.proxy.readSoFar(), "after max-age")

	w.proxy.rotate()
	require.Equal(t, 401, status(), "read less than 30 s ago")
	require.Equal(t, 2, w.proxy.readSoFar())
	w.clock.advance(30 * time.Second)
	require.Equal(t, 200, status())
	require.Equal(t, 3, w.proxy.readSoFar())

	for name, answer := range map[string]func(http.ResponseWriter){
		"down": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"moved": func(out http.ResponseWriter) {
			out.Header().Set("Location", "http://127.0.0.1:1/")
			out.WriteHeader(302)
		},
		"garbage": func(w http.ResponseWriter) { _, _ = w.Write([]byte("hello")) },
		"large":   func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`)) },
		"too many keys": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(`{},`, 10_000) + `{}]}`))
		},
		"no keys": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
	} {
		w.proxy.answerWith(answer)
		w.clock.advance(6 * time.Minute)
		require.Equal(t, 200, status(), "%s: the last good set is kept", name)
	}
	w.clock.advance(24 * time.Hour)
	response := w.fetch(file, nil)
	requireRefused(t, 503, response)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	reads := w.proxy.readSoFar()
	for range 20 {
		require.Equal(t, 503, status())
	}
	require.Equal(t, reads, w.proxy.readSoFar(), "an issuer that is down is not hammered")
	w.proxy.answerWith(nil)
	w.clock.advance(30 * time.Second)
	require.Equal(t, 200, status())
}

// A key set may hold keys of other kinds, which are passed over, but not one id twice.
func TestParseIssuerKeys(t *testing.T) {
	p := newPlayedProxy(t, time.Now)
	good := strings.TrimSuffix(strings.TrimPrefix(string(p.keySet()), `{"keys":[`), "]}")
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	encode := base64.RawURLEncoding.EncodeToString
	foreign := []string{
		`{"kty":"oct","kid":"a","k":"c2VjcmV0"}`, `{"kty":"EC","crv":"P-999","kid":"b"}`, `{"kty":"quantum","kid":"c"}`,
		`{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"d","x":"` + encode(make([]byte, 32)) + `"}`,
		strings.Replace(good, `"sig"`, `"enc"`, 1), strings.Replace(good, `"ES256"`, `"ES384"`, 1),
	}
	keys, err := parseIssuerKeys([]byte(set(append(foreign, good)...)))
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.True(t, keys[p.kid].Equal(&p.key.PublicKey))
	for name, text := range map[string]string{"twice": set(good, good), "foreign alone": set(foreign...), "no set": `[]`, "keys twice": `{"keys":[],"keys":[]}`} {
		_, err = parseIssuerKeys([]byte(text))
		require.Error(t, err, name)
	}
}

func FuzzProxyToken(f *testing.F) {
	f.Add("a.b.c")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT","kid":"x"}`)) + ".e30.AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		kid, err := readTokenHead(token)
		if err != nil {
			require.ErrorIs(t, err, errToken)
			return
		}
		require.NotEmpty(t, kid)
		require.LessOrEqual(t, len(token), maxTokenBytes)
	})
}

func FuzzParseRange(f *testing.F) {
	for _, text := range []string{"bytes=0-0", "bytes=-1", "bytes=5-", "bytes=0-1,2-3"} {
		f.Add(text, int64(10))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size <= 0 {
			return
		}
		first, last, ok := parseRange(text, size)
		if ok {
			require.True(t, 0 <= first && first <= last && last < size, "%d-%d of %d", first, last, size)
		}
	})
}

// A path is good only as it was given out: any other is refused, whatever was changed.
func FuzzSignedPath(f *testing.F) {
	c := newClock()
	paths := &signedPaths{integrator: 12, key: make([]byte, 32), audience: mediaOrigin}
	sum := sha256.Sum256([]byte("ciphertext"))
	row := mediaRow(sum, c.now())
	directPath, err := paths.DirectPath(row)
	require.NoError(f, err)
	_, query, _ := strings.Cut(directPath, "?")
	good := parseQuery(f, query)
	f.Add(good.Get("oe"), good.Get("oh"))
	f.Fuzz(func(t *testing.T, oe, oh string) {
		signed := paths.Signed(row, map[string][]string{"oe": {oe}, "oh": {oh}})
		require.Equal(t, oe == good.Get("oe") && oh == good.Get("oh"), signed)
	})
}
