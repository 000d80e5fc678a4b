package meta

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzToken feeds hostile text to the reader of tokens. What it takes has the one
// spelling: three parts, a fixed algorithm, no foreign header, and claims that every parser reads alike.
func FuzzToken(f *testing.F) {
	header := encode64([]byte(`{"typ":"JWT","alg":"ES256","kid":"k"}`))
	f.Add(header + "." + encode64([]byte(`{"sub":"u"}`)) + "." + encode64(make([]byte, 64)))
	f.Add(header + "." + encode64([]byte(`{"sub":"u","sub":"v"}`)) + ".")
	f.Add(header + "." + encode64([]byte(`{"x":[[[[[[[[[[]]]]]]]]]]}`)) + ".AA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		token, refused := splitToken(raw)
		if refused != nil {
			return
		}
		if token.alg != "ES256" && token.alg != "EdDSA" || token.kid == "" {
			t.Fatalf("took alg %q, kid %q", token.alg, token.kid)
		}
		if !strings.HasPrefix(raw, token.signed+".") || raw != token.signed+"."+encode64(token.signature) {
			t.Fatal("the token has another spelling")
		}
	})
}

// FuzzKeySet feeds hostile key sets; the keys that are taken are the ones that their ids name.
func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","use":"sig","alg":"EdDSA","x":"AAAA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"","use":"sig","alg":"ES256","x":"","y":""}]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseKeySet(body, []string{"ES256", "EdDSA"})
		if err != nil {
			return
		}
		if len(keys) > maxKeySetKeys {
			t.Fatalf("took %d keys", len(keys))
		}
		for kid, key := range keys {
			if len(kid) != 43 || key.Public == nil {
				t.Fatalf("took key %q", kid)
			}
		}
	})
}

// FuzzStrictJSON checks that the strict reader takes nothing that is not JSON.
func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"a":2}`, `{"a":{"b":[1,{"c":null}]}} x`, `[1]`, `{"a"`, `{"a":1,}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkJSON(data) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("took what is not JSON")
		}
		if _, err := decodeObject(data); err != nil {
			t.Fatalf("checked, and then not read: %v", err)
		}
	})
}
