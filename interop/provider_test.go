package interop

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"causeway/network"
)

func TestEnlistAndConnect(t *testing.T) {
	w := newWorld(t)
	enlistment := w.enlisted(t, annaID)
	require.Equal(t, Enlistment{Address: network.Interop(wa, 12, "101"), User: annaID, Identifier: "anna@example.eu",
		Status: Active, ChatURL: "wss://chat.example.com/ws"}, enlistment)
	stored, err := w.Enlistment(t.Context(), enlistment.Address)
	require.NoError(t, err)
	require.Equal(t, enlistment, stored)

	token, err := w.ConnectToken(t.Context(), enlistment.Address, testKeys(1).Noise)
	require.NoError(t, err)
	response, err := fetch("http://" + w.Addr() + "/.well-known/jwks.json")
	require.NoError(t, err)
	keySet, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	_, claims := verify(t, token, keySet, w.clock.now())
	require.Equal(t, "connect", claims["purpose"])
	require.Equal(t, "101", claims["account_id"])
	require.Equal(t, w.registry.entries[0].subject, claims["sub"])
	for _, part := range []string{"anna", "example.eu"} {
		require.NotContains(t, claims["sub"], part, "the subject tells nothing of the user")
	}
}

func TestEnlistTwiceIsOneEnlistment(t *testing.T) {
	w := newWorld(t)
	first := w.enlisted(t, annaID)
	again := w.enlisted(t, annaID)
	require.Equal(t, first, again)
	require.Equal(t, 1, w.registry.posts, "the second time nobody is asked")

	other, err := w.Enlist(t.Context(), w.applicant(t, annaID, 99))
	require.NoError(t, err)
	require.True(t, other.OtherKeys, "the network knows the first keys")
	require.Equal(t, first.Address, other.Address)
}

func TestEnlistAtTheSameTimeIsOneEnlistment(t *testing.T) {
	w := newWorld(t)
	applicant := w.applicant(t, annaID, 1)
	addresses := make([]network.Address, 8)
	var group sync.WaitGroup
	for i := range addresses {
		group.Go(func() {
			enlistment, err := w.Enlist(t.Context(), applicant)
			if err != nil {
				t.Error(err)
			}
			addresses[i] = enlistment.Address
		})
	}
	group.Wait()
	for _, address := range addresses {
		require.Equal(t, network.Interop(wa, 12, "101"), address)
	}
	require.Equal(t, 1, w.registry.posts)
	require.Equal(t, []string{"active"}, w.registry.statuses())
}

func TestEnlistAgainAfterWithdrawal(t *testing.T) {
	w := newWorld(t)
	first := w.enlisted(t, annaID)
	consent := w.agree(t, annaID)
	require.NoError(t, w.Withdraw(t.Context(), first.Address, ReasonUser))
	_, err := w.Enlist(t.Context(), Applicant{User: annaID, Network: wa, Keys: testKeys(2), Sign: sign, ConsentID: consent.ID})
	require.ErrorIs(t, err, ErrNoConsent, "leaving ends every consent")
	second, err := w.Enlist(t.Context(), w.applicant(t, annaID, 2))
	require.NoError(t, err)
	require.Equal(t, "102", second.Address.User)
	require.Equal(t, w.registry.entries[0].subject, w.registry.entries[1].subject, "a user keeps their subject")
	_, err = w.ConnectToken(t.Context(), first.Address, [32]byte{})
	require.ErrorIs(t, err, network.ErrWithdrawn)
}

// The answer to an earlier attempt was lost, and its keys with it.
func TestEnlistAfterKeysWereLost(t *testing.T) {
	w := newWorld(t)
	subject, err := w.db.Subject(t.Context(), annaID, wa, "u_anna")
	require.NoError(t, err)
	w.registry.change(func() {
		w.registry.entries = append(w.registry.entries,
			&entry{id: "e_1", account: "101", subject: subject, identity: "lost", identifier: "anna@example.eu", status: "active"},
			&entry{id: "e_2", account: "102", subject: "u_other", identity: "x", identifier: "other@example.eu", status: "active"})
	})
	enlistment := w.enlisted(t, annaID)
	require.Equal(t, "103", enlistment.Address.User)
	require.Equal(t, []string{"withdrawn", "active", "active"}, w.registry.statuses())
}

func TestEnlistRefusesAccountOfAnotherUser(t *testing.T) {
	w := newWorld(t)
	w.enlisted(t, annaID)
	w.registry.change(func() { w.registry.entries = nil }) // it counts from the start again
	_, err := w.Enlist(t.Context(), w.applicant(t, "@mallory:example.eu", 3))
	require.ErrorContains(t, err, "belongs to another user")
	stored, err := w.Enlistment(t.Context(), network.Interop(wa, 12, "101"))
	require.NoError(t, err)
	require.Equal(t, annaID, stored.User)
}

func TestProviderRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		user   string
		change func(*Config)
		want   error
	}{
		"off":                {annaID, func(c *Config) { c.Enabled = false }, ErrIncomplete},
		"incomplete":         {annaID, func(c *Config) { c.ChatURL = "" }, ErrIncomplete},
		"not a product":      {annaID, func(c *Config) { c.Products = []network.Network{network.Messenger} }, ErrIncomplete},
		"kill switch":        {annaID, func(c *Config) { c.KillSwitch = true }, ErrStopped},
		"foreign homeserver": {"@eve:example.org", func(*Config) {}, ErrUserNotAllowed},
		"not on the list":    {annaID, func(c *Config) { c.Users.Homeservers = []string{"example.org"} }, ErrUserNotAllowed},
		"no user id":         {"anna", func(*Config) {}, ErrUserNotAllowed},
		"suffix of ours":     {"@anna:evil-example.eu", func(*Config) {}, ErrUserNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.change)
			_, err := w.Offer(t.Context(), test.user, wa)
			require.ErrorIs(t, err, test.want)
			_, err = w.Consent(t.Context(), test.user, wa, "DE")
			require.ErrorIs(t, err, test.want)
			_, err = w.Enlist(t.Context(), Applicant{User: test.user, Network: wa, Sign: sign})
			require.ErrorIs(t, err, test.want)
			require.Zero(t, w.registry.posts)
		})
	}
}

func TestEnlistVouchesForOwnIdentifierOnly(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Users.Homeservers = []string{"example.eu", "example.org:8448"} })
	applicant := w.applicant(t, annaID, 1)
	applicant.Identifier = "bob@example.eu"
	_, err := w.Enlist(t.Context(), applicant)
	require.ErrorIs(t, err, network.ErrBadIdentifier)
	_, err = w.Enlist(t.Context(), w.applicant(t, "@anna:example.org:8448", 1))
	require.ErrorIs(t, err, network.ErrBadIdentifier, "no email address has a port")
	identifier, err := w.Identifier("@Anna.B:example.eu")
	require.NoError(t, err)
	require.Equal(t, "anna.b@example.eu", identifier)
}

func TestConnectTokenRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*Config)
		prepare func(*testing.T, *world, network.Address)
		want    error
	}{
		"kill switch":     {change: func(c *Config) { c.KillSwitch = true }, want: ErrStopped},
		"homeserver left": {change: func(c *Config) { c.Users.Homeservers = []string{"example.org"} }, want: ErrUserNotAllowed},
		"off":             {change: func(c *Config) { c.Enabled = false }, want: ErrIncomplete},
		"consent withdrawn": {prepare: func(t *testing.T, w *world, _ network.Address) {
			require.NoError(t, w.db.WithdrawConsents(t.Context(), annaID, wa, w.now()))
		}, want: ErrNoConsent},
		"suspended": {prepare: func(t *testing.T, w *world, login network.Address) {
			require.NoError(t, w.db.SetEnlistmentStatus(t.Context(), login.String(), string(Suspended), "", w.now()))
		}, want: network.ErrSuspended},
		"withdrawn": {prepare: func(t *testing.T, w *world, login network.Address) {
			require.NoError(t, w.Withdraw(t.Context(), login, ReasonUser))
		}, want: network.ErrWithdrawn},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			login := w.enlisted(t, annaID).Address
			_, err := w.ConnectToken(t.Context(), login, [32]byte{1})
			require.NoError(t, err)
			if test.prepare != nil {
				test.prepare(t, w, login)
			}
			if test.change != nil {
				w.Stop()
				w.start(t, test.change)
			}
			_, err = w.ConnectToken(t.Context(), login, [32]byte{1})
			require.ErrorIs(t, err, test.want)
		})
	}
	w := newWorld(t)
	_, err := w.ConnectToken(t.Context(), network.Interop(wa, 12, "999"), [32]byte{})
	require.ErrorIs(t, err, network.ErrNotEnlisted)
}

func TestWithdrawIsFinishedLater(t *testing.T) {
	w := newWorld(t)
	login := w.enlisted(t, annaID).Address
	w.registry.change(func() { w.registry.down = true })
	w.enlister.(*service).retry.pause = func(context.Context, time.Duration) error { return errors.New("no patience") }
	require.Error(t, w.Withdraw(t.Context(), login, ReasonAbuse))
	_, err := w.ConnectToken(t.Context(), login, [32]byte{})
	require.ErrorIs(t, err, network.ErrWithdrawn, "it ends here at once")
	require.Equal(t, []string{"active"}, w.registry.statuses())

	w.Stop()
	w.registry.change(func() { w.registry.down = false })
	w.start(t)
	require.Eventually(t, func() bool {
		stored, err := w.Enlistment(t.Context(), login)
		return err == nil && stored.Status == Withdrawn
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"withdrawn"}, w.registry.statuses())
	require.Equal(t, ReasonAbuse, w.registry.entries[0].reason)
	require.NoError(t, w.Withdraw(t.Context(), login, ReasonUser), "once more is harmless")
}

func TestWithdrawRefusals(t *testing.T) {
	w := newWorld(t)
	require.ErrorIs(t, w.Withdraw(t.Context(), network.Interop(wa, 12, "9"), ReasonUser), network.ErrNotEnlisted)
	require.ErrorContains(t, w.Withdraw(t.Context(), w.enlisted(t, annaID).Address, "boredom"), "no reason")
}

func TestReconcile(t *testing.T) {
	w := newWorld(t)
	logins := map[string]network.Address{}
	for _, name := range []string{"kept", "suspended", "withdrawn", "forgotten"} {
		logins[name] = w.enlisted(t, "@"+name+":example.eu").Address
	}
	w.clock.advance(time.Minute)
	w.registry.change(func() {
		r := w.registry
		r.entries[1].status, r.entries[2].status = "suspended", "withdrawn"
		r.entries = append(r.entries[:3], &entry{id: "e_9", account: "109", subject: "u_9", identifier: "x@example.eu", status: "active"})
	})
	result, err := w.Reconcile(t.Context(), wa)
	require.NoError(t, err)
	require.ElementsMatch(t, []network.Address{logins["suspended"], logins["withdrawn"], logins["forgotten"]}, result.Changed)
	require.Equal(t, 1, result.Unknown)
	for name, want := range map[string]Status{"kept": Active, "suspended": Suspended, "withdrawn": Withdrawn, "forgotten": Withdrawn} {
		stored, err := w.Enlistment(t.Context(), logins[name])
		require.NoError(t, err)
		require.Equal(t, want, stored.Status, name)
	}
	again, err := w.Reconcile(t.Context(), wa)
	require.NoError(t, err)
	require.Empty(t, again.Changed)
}

func TestRotationKeepsTokensGood(t *testing.T) {
	w := newWorld(t)
	login := w.enlisted(t, annaID).Address
	read := func() string { return body(t, ask(w.Handler(), http.MethodGet, keySetPath, nil)) }
	before := read()
	old, err := w.ConnectToken(t.Context(), login, [32]byte{})
	require.NoError(t, err)
	require.NoError(t, w.RotateSigningKey(t.Context()))
	fresh, err := w.ConnectToken(t.Context(), login, [32]byte{})
	require.NoError(t, err)
	verify(t, old, []byte(read()), w.clock.now())
	verify(t, fresh, []byte(before), w.clock.now())
	w.Stop()
	w.start(t)
	verify(t, old, []byte(read()), w.clock.now())
}

func TestProviderBeforeStartAndAfterStop(t *testing.T) {
	cfg := completeConfig()
	p, err := New(cfg, Environment{Domain: "example.eu", StateDir: t.TempDir()}, openDatabase(t), zerolog.Nop())
	require.NoError(t, err)
	require.Empty(t, p.Addr())
	require.ErrorIs(t, p.RotateSigningKey(t.Context()), ErrNotStarted)
	require.Equal(t, http.StatusServiceUnavailable, ask(p.Handler(), http.MethodGet, keySetPath, nil).StatusCode)
	_, err = p.Enlist(t.Context(), Applicant{User: annaID, Network: wa})
	require.ErrorIs(t, err, ErrNotStarted)

	w := newWorld(t)
	address := w.Addr()
	require.ErrorContains(t, w.Start(t.Context()), "running already")
	w.Stop()
	require.Empty(t, w.Addr())
	_, err = fetch("http://" + address + keySetPath)
	require.Error(t, err, "nobody listens any more")
	w.Stop()
}

func TestProviderRefusesBadConfiguration(t *testing.T) {
	cfg := completeConfig()
	cfg.Mode = "proxy"
	_, err := New(cfg, Environment{}, openDatabase(t), zerolog.Nop())
	require.ErrorContains(t, err, "network.interop.mode: ")
	_, err = New(completeConfig(), Environment{Listen: Listen{Address: ":80"}}, openDatabase(t), zerolog.Nop())
	require.ErrorContains(t, err, "network.listen.provider.address: ")
}

func TestDisabledProviderTouchesNothing(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Enabled = false })
	require.Empty(t, w.Addr())
	entries, err := os.ReadDir(w.dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.NotEmpty(t, w.Terms(wa).Text, "what it would mean can be read all the same")
}

func TestDisplayName(t *testing.T) {
	for name, want := range map[string]string{
		"Anna": "Anna", " Anna\n\u2028B\x00 ": "AnnaB", "": "anna", " \t ": "anna", strings.Repeat("ä", 70): strings.Repeat("ä", 64),
	} {
		require.Equal(t, want, displayName(name, annaID))
	}
}

func TestTermsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "terms.txt")
	require.NoError(t, os.WriteFile(path, []byte("{provider} on {network}\n"), 0o600))
	w := newWorld(t, func(c *Config) { c.Consent = ConsentConfig{TermsFile: path, Version: "7"} })
	require.Equal(t, Terms{Version: "7", Text: "Example on WhatsApp"}, w.Terms(wa))
}
