package meta

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKeySetIsKeptForItsAge(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	for range 3 {
		_, refused := p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "")
		require.Nil(t, refused)
	}
	require.Equal(t, 1, p.keySetReads())
	p.clock.advance(299 * time.Second)
	_, refused := p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "")
	require.Nil(t, refused)
	require.Equal(t, 1, p.keySetReads())
	p.clock.advance(2 * time.Second)
	_, refused = p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "")
	require.Nil(t, refused)
	require.Equal(t, 2, p.keySetReads())
}

func TestUnknownKidReadsTheSetAtMostOncePerPause(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	verify := func() string {
		if _, refused := p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", ""); refused != nil {
			return refused.Code
		}
		return ""
	}
	old := p.key
	require.Empty(t, verify())

	p.key = newSigningKey(t, "ES256") // signs before it is published
	require.Equal(t, codeKeyUnknown, verify())
	require.Equal(t, 2, p.keySetReads())
	p.publish(old, p.key)
	require.Equal(t, codeKeyUnknown, verify())
	require.Equal(t, 2, p.keySetReads(), "the pause after an unknown kid")
	p.clock.advance(30 * time.Second)
	require.Empty(t, verify())
	require.Equal(t, 3, p.keySetReads())

	rotated := p.key
	p.publish(rotated) // the old key is withdrawn, which takes effect within max-age
	p.key = old
	require.Empty(t, verify())
	p.clock.advance(301 * time.Second)
	require.Equal(t, codeKeyUnknown, verify())
}

func TestUnusableKeySetKeepsTheLastGoodOne(t *testing.T) {
	p := newTestProvider(t)
	u := userNumber(t, 1)
	_, refused := p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "")
	require.Nil(t, refused)

	many := make([]map[string]any, 10_000)
	for i := range many {
		many[i] = p.key.public
	}
	secret := map[string]any{"d": "AAAA"}
	for name, value := range p.key.public {
		secret[name] = value
	}
	renamed := map[string]any{}
	for name, value := range p.key.public {
		renamed[name] = value
	}
	renamed["kid"] = "mine"
	offCurve := map[string]any{}
	for name, value := range p.key.public {
		offCurve[name] = value
	}
	offCurve["y"] = offCurve["x"]
	for name, body := range map[string]string{
		"one mebibyte":        `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
		"ten thousand keys":   marshal(t, map[string]any{"keys": many}),
		"seventeen keys":      marshal(t, map[string]any{"keys": many[:17]}),
		"garbage":             "<html>",
		"a secret key":        marshal(t, map[string]any{"keys": []any{secret}}),
		"kid not thumbprint":  marshal(t, map[string]any{"keys": []any{renamed}}),
		"the same key twice":  marshal(t, map[string]any{"keys": many[:2]}),
		"point off the curve": marshal(t, map[string]any{"keys": []any{offCurve}}),
		"duplicate members":   `{"keys":[],"keys":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			p.answerWith(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/.well-known/jwks.json" {
					return false
				}
				w.Header().Set("Content-Type", "application/jwk-set+json")
				_, _ = w.Write([]byte(body))
				return true
			})
			p.clock.advance(301 * time.Second)
			_, refused := p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "")
			require.Nil(t, refused, "the last good set serves on")
			cold := newKeySets(p.n.now, 0)
			_, err := cold.find(context.Background(), p.url, p.key.kid)
			require.ErrorIs(t, err, errKeyUnknown, "and nothing is taken from the bad one")
		})
	}
	p.clock.advance(25 * time.Hour)
	_, refused = p.n.verifyToken(p.token(p.claims(u, "enlist")), "enlist", "")
	require.NotNil(t, refused)
	require.Equal(t, codeKeyUnknown, refused.Code, "but not for longer than a day")
}

func TestUnchangedKeySet(t *testing.T) {
	p := newTestProvider(t)
	var mu sync.Mutex
	var conditional int
	p.answerWith(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("ETag", `"one"`)
		if r.Header.Get("If-None-Match") != `"one"` {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		conditional++
		w.Header().Set("Cache-Control", "max-age=300")
		w.WriteHeader(http.StatusNotModified)
		return true
	})
	for range 2 {
		_, refused := p.n.verifyToken(p.token(p.claims(userNumber(t, 1), "enlist")), "enlist", "")
		require.Nil(t, refused)
		p.clock.advance(301 * time.Second)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, conditional)
}

func TestConcurrentTokensShareOneRead(t *testing.T) {
	p := newTestProvider(t)
	var tokens []string
	for i := range 20 {
		tokens = append(tokens, p.token(p.claims(userNumber(t, i), "enlist")))
	}
	var group sync.WaitGroup
	for _, token := range tokens {
		group.Go(func() {
			if _, refused := p.n.verifyToken(token, "enlist", ""); refused != nil {
				t.Error(refused)
			}
		})
	}
	group.Wait()
	require.Equal(t, 1, p.keySetReads())
}

func TestMaxAge(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"public, max-age=300":  300 * time.Second,
		"max-age=0":            0,
		"MAX-AGE=7":            7 * time.Second,
		"":                     defaultKeySetAge,
		"max-age=-1":           defaultKeySetAge,
		"max-age=999999999999": defaultKeySetAge,
		"max-age=2000000000":   lastGoodLife,
	} {
		require.Equal(t, want, maxAge(header), header)
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}
