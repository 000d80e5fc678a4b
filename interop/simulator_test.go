package interop_test

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"

	"causeway/database"
	"causeway/interop"
	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire"
)

const (
	integrator = 12
	pushSecret = "correct horse battery staple 0123"
)

// startProvider starts a provider that the simulated network knows, under an address of its own.
func startProvider(t *testing.T, net *meta.Network, changes ...func(*interop.Config, *interop.Environment)) (*interop.Provider, *database.Database) {
	t.Helper()
	var handler atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	require.NoError(t, net.AddIntegrator(meta.Integrator{ID: integrator, Name: "Example", IdentifierType: "email", Issuer: server.URL,
		PushURL: server.URL + "/interop/push", PushSecret: pushSecret, MediaBase: server.URL + "/media"}))

	path := (&url.URL{Path: filepath.Join(t.TempDir(), "test.db")}).EscapedPath()
	raw, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on&_journal_mode=WAL&_txlock=immediate&_busy_timeout=5000")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	wrapped, err := dbutil.NewWithDB(raw, "sqlite3")
	require.NoError(t, err)
	db := database.New(wrapped)
	require.NoError(t, db.Upgrade(t.Context()))

	cfg, env := interop.Config{
		Enabled: true, Integrator: interop.IntegratorConfig{ID: integrator, Name: "Example"},
		ChatURL: net.ChatURL(), EnlistmentURL: net.EnlistmentURL(), MetaIssuer: net.MetaIssuer(),
		Token: interop.TokenConfig{Issuer: server.URL},
		Push:  interop.PushConfig{Secret: pushSecret}, Media: interop.MediaConfig{BaseURL: server.URL + "/media"},
	}, interop.Environment{Domain: "example.eu", StateDir: t.TempDir(), Software: "causeway/test"}
	for _, change := range changes {
		change(&cfg, &env)
	}
	provider, err := interop.New(cfg, env, db, zerolog.Nop())
	require.NoError(t, err)
	public := provider.Handler()
	handler.Store(&public)
	require.NoError(t, provider.Start(t.Context()))
	t.Cleanup(provider.Stop)
	return provider, db
}

// The life of an enlistment against a service that was written from the protocol page alone.
func TestLifeOfAnEnlistment(t *testing.T) {
	for _, profile := range []meta.ProfileName{meta.Calm, meta.Timing} {
		t.Run(string(profile), func(t *testing.T) {
			net := meta.Start(t, meta.Profile(profile))
			provider, _ := startProvider(t, net)
			consent, err := provider.Consent(t.Context(), "@anna:example.eu", network.WhatsApp, "DE")
			require.NoError(t, err)
			keys, err := wire.GenerateKeys()
			require.NoError(t, err)
			apply := func() (interop.Enlistment, error) {
				return provider.Enlist(t.Context(), interop.Applicant{User: "@anna:example.eu", Network: network.WhatsApp, DisplayName: "Anna",
					Keys: interop.PublicKeys(keys.Public()), ConsentID: consent.ID,
					Sign: func(message []byte) ([64]byte, error) { return keys.Sign(message), nil }})
			}
			enlistment, err := apply()
			require.NoError(t, err)
			require.Equal(t, interop.Active, enlistment.Status)
			require.Equal(t, uint16(integrator), enlistment.Address.Integrator)
			again, err := apply()
			require.NoError(t, err)
			require.Equal(t, enlistment, again)
			theirs := net.Enlistments()
			require.Len(t, theirs, 1)
			require.Equal(t, enlistment.Address.User, theirs[0].Account)
			require.Equal(t, "active", theirs[0].Status)

			require.NoError(t, provider.RotateSigningKey(t.Context()))
			reconciled, err := provider.Reconcile(t.Context(), network.WhatsApp)
			require.NoError(t, err, "tokens of the next key are good at once")
			require.Equal(t, interop.Reconciled{}, reconciled)

			require.NoError(t, provider.Withdraw(t.Context(), enlistment.Address, interop.ReasonUser))
			require.Equal(t, "withdrawn", net.Enlistments()[0].Status)
			_, err = provider.ConnectToken(t.Context(), enlistment.Address, keys.Public().Noise)
			require.ErrorIs(t, err, network.ErrWithdrawn)
		})
	}
}

// Whoever has left may come back with other keys, and so may those whose enlistment was lost here.
func TestComingBackWithOtherKeys(t *testing.T) {
	net := meta.Start(t, meta.Profile(meta.Calm))
	provider, db := startProvider(t, net)
	for _, leave := range []func(login network.Address) error{
		func(login network.Address) error { return provider.Withdraw(t.Context(), login, interop.ReasonUser) },
		func(network.Address) error {
			_, err := db.Exec(t.Context(), "DELETE FROM cw_enlistment")
			return err
		},
		func(network.Address) error { return nil },
	} {
		consent, err := provider.Consent(t.Context(), "@anna:example.eu", network.WhatsApp, "DE")
		require.NoError(t, err)
		keys, err := wire.GenerateKeys()
		require.NoError(t, err)
		enlistment, err := provider.Enlist(t.Context(), interop.Applicant{User: "@anna:example.eu", Network: network.WhatsApp,
			Keys: interop.PublicKeys(keys.Public()), ConsentID: consent.ID,
			Sign: func(message []byte) ([64]byte, error) { return keys.Sign(message), nil }})
		require.NoError(t, err)
		require.NoError(t, leave(enlistment.Address))
	}
	var active int
	for _, theirs := range net.Enlistments() {
		if theirs.Status == "active" {
			active++
		}
	}
	require.Equal(t, 1, active)
}

// A user agrees to newer terms: the network hears of it, and the enlistment is the same.
func TestConsentIsRenewed(t *testing.T) {
	net := meta.Start(t, meta.Profile(meta.Calm))
	provider, _ := startProvider(t, net)
	anna := enlist(t, provider, "@anna:example.eu")
	changed, _, err := provider.TermsChanged(t.Context(), anna.Address)
	require.NoError(t, err)
	require.False(t, changed)
	noise := [32]byte{1}
	newer, err := provider.Consent(t.Context(), "@anna:example.eu", network.WhatsApp, "DE")
	require.NoError(t, err)
	lost := net.Fault(meta.Fault{Kind: meta.FaultEnlistLost, Match: meta.Match{Stanza: "PATCH"}})
	require.NoError(t, provider.Renew(t.Context(), anna.Address, newer.ID, noise))
	require.Equal(t, 1, lost.Struck())
	require.ErrorIs(t, provider.Renew(t.Context(), anna.Address, "c_nobody", noise), interop.ErrNoConsent)
	foreign, err := provider.Consent(t.Context(), "@mallory:example.eu", network.WhatsApp, "DE")
	require.NoError(t, err)
	require.ErrorIs(t, provider.Renew(t.Context(), anna.Address, foreign.ID, noise), interop.ErrNoConsent)
	require.NoError(t, provider.Withdraw(t.Context(), anna.Address, interop.ReasonUser))
	require.ErrorIs(t, provider.Renew(t.Context(), anna.Address, newer.ID, noise), network.ErrNotEnlisted)
	require.Len(t, net.Enlistments(), 1)
}

// A new signed prekey reaches the network only with the signature of the identity that was enlisted.
func TestSignedPrekeyIsPublished(t *testing.T) {
	net := meta.Start(t, meta.Profile(meta.Calm))
	provider, _ := startProvider(t, net)
	consent, err := provider.Consent(t.Context(), "@anna:example.eu", network.WhatsApp, "DE")
	require.NoError(t, err)
	keys, err := wire.GenerateKeys()
	require.NoError(t, err)
	anna, err := provider.Enlist(t.Context(), interop.Applicant{User: "@anna:example.eu", Network: network.WhatsApp, DisplayName: "Anna",
		Keys: interop.PublicKeys(keys.Public()), ConsentID: consent.ID,
		Sign: func(message []byte) ([64]byte, error) { return keys.Sign(message), nil }})
	require.NoError(t, err)

	next := interop.PublicKeys(keys.Public())
	next.SignedPrekeyID++
	next.SignedPrekey[0] ^= 1
	require.ErrorIs(t, provider.PublishPrekey(t.Context(), anna.Address, next), network.ErrRejected, "signed for another key")
	next.SignedPrekeySignature = keys.Sign(append([]byte{5}, next.SignedPrekey[:]...))
	require.NoError(t, provider.PublishPrekey(t.Context(), anna.Address, next))
	other, err := wire.GenerateKeys()
	require.NoError(t, err)
	require.ErrorIs(t, provider.PublishPrekey(t.Context(), anna.Address, interop.PublicKeys(other.Public())), interop.ErrIdentityMismatch)
	require.NoError(t, provider.Withdraw(t.Context(), anna.Address, interop.ReasonUser))
	require.ErrorIs(t, provider.PublishPrekey(t.Context(), anna.Address, next), network.ErrNotEnlisted)
}
