package interop

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzIssuerKeys reads what the network publishes as the keys of its own tokens, and how long it says that they hold.
func FuzzIssuerKeys(f *testing.F) {
	const key = `{"kty":"EC","crv":"P-256","kid":"a","use":"sig","alg":"ES256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	f.Add([]byte(`{"keys":[`+key+`]}`), "public, max-age=300")
	f.Add([]byte(`{"keys":[`+key+`,`+key+`]}`), "max-age=99999999999999999999")
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","n":"","e":""}]}`), "no-store, MAX-AGE = 1")
	f.Add([]byte(`{"keys":null}`), "")
	f.Fuzz(func(t *testing.T, content []byte, cacheControl string) {
		life := maxAge(cacheControl)
		require.GreaterOrEqual(t, life, time.Duration(0))
		require.LessOrEqual(t, life, lastGoodLife)
		keys, err := parseIssuerKeys(content)
		if err != nil {
			require.Nil(t, keys)
			return
		}
		require.NotEmpty(t, keys)
		require.LessOrEqual(t, len(keys), maxPublished)
		for id, public := range keys {
			require.NotEmpty(t, id)
			_, err := public.ECDH() // which fails for a point that is not on the curve
			require.NoError(t, err)
		}
	})
}

// FuzzEnlistAnswer reads what the Enlistment API answers, as a record and as a refusal.
func FuzzEnlistAnswer(f *testing.F) {
	f.Add(200, []byte(activeBody))
	f.Add(409, []byte(refusalOf("identifier_taken")))
	f.Add(500, []byte("<html>"))
	f.Add(201, []byte(`{"status":"active","enlistment_id":"e","integrator_id":12,"account_id":"1","jid":"13-1@interop"}`))
	f.Fuzz(func(t *testing.T, status int, content []byte) {
		r := refusal(status, content)
		require.Error(t, r.Unwrap()[0])
		require.NotEmpty(t, r.Error())
		var body recordBody
		if json.Unmarshal(content, &body) != nil {
			return
		}
		if record, err := body.record(); err == nil {
			require.NotEmpty(t, record.ID)
			require.Contains(t, []Status{Pending, Active, Suspended, Withdrawn}, record.Status)
		}
	})
}
