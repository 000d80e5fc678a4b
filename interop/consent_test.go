package interop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func TestConsentFromOfferToWithdrawal(t *testing.T) {
	w := newWorld(t)
	terms, err := w.Offer(t.Context(), annaID, wa)
	require.NoError(t, err)
	_, err = w.Offer(t.Context(), annaID, wa)
	require.NoError(t, err)
	rows, err := w.db.Consents(t.Context(), annaID, wa)
	require.NoError(t, err)
	require.Len(t, rows, 1, "the same offer is one row")
	require.Equal(t, w.clock.now(), rows[0].OfferedAt)
	require.Equal(t, terms.Text, rows[0].TermsText)
	require.False(t, rows[0].Current(), "an offer is no yes")
	_, err = w.Enlist(t.Context(), Applicant{User: annaID, Network: wa, Sign: sign, ConsentID: rows[0].ID})
	require.ErrorIs(t, err, ErrNoConsent)

	w.clock.advance(time.Minute)
	consent, err := w.Consent(t.Context(), annaID, wa, " de ")
	require.NoError(t, err)
	require.Equal(t, Consent{ID: rows[0].ID, User: annaID, Network: wa, TermsVersion: "1", Country: "DE", GivenAt: w.clock.now()}, consent)

	login := w.enlisted(t, annaID).Address
	w.clock.advance(time.Minute)
	require.NoError(t, w.Withdraw(t.Context(), login, ReasonUser))
	rows, err = w.db.Consents(t.Context(), annaID, wa)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	for _, row := range rows {
		require.Equal(t, w.clock.now(), row.WithdrawnAt)
	}
}

func TestConsentNeedsACountryOfTheEEA(t *testing.T) {
	w := newWorld(t)
	for _, country := range []string{"", "US", "GB", "CH", "EU", "D", "E E", "DE FR", "UK"} {
		_, err := w.Consent(t.Context(), annaID, wa, country)
		require.ErrorIs(t, err, network.ErrRegion, country)
	}
	rows, err := w.db.Consents(t.Context(), annaID, wa)
	require.NoError(t, err)
	require.Empty(t, rows, "nothing of it is kept")
	for _, country := range []string{"DE", "is", "LI", "NO", "HR", "GR"} {
		_, err := w.Consent(t.Context(), annaID, wa, country)
		require.NoError(t, err, country)
	}
	require.Len(t, Countries(), 30)
}

func TestConsentOffTheMap(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Region.Check = RegionOff })
	_, err := w.Consent(t.Context(), annaID, wa, "US")
	require.NoError(t, err)
}

func TestConsentIsPersonalAndOfOneWording(t *testing.T) {
	w := newWorld(t)
	consent := w.agree(t, annaID)
	for user, id := range map[string]string{"@bob:example.eu": consent.ID, annaID: "c_unknown"} {
		_, err := w.Enlist(t.Context(), Applicant{User: user, Network: wa, Sign: sign, ConsentID: id})
		require.ErrorIs(t, err, ErrNoConsent)
	}
	login := w.enlisted(t, annaID).Address
	w.Stop()
	w.start(t, func(c *Config) { c.Consent.Version = "2" })
	_, err := w.Enlist(t.Context(), Applicant{User: annaID, Network: wa, Sign: sign, ConsentID: consent.ID})
	require.ErrorIs(t, err, ErrNoConsent)
	require.ErrorContains(t, err, "terms have changed")
	_, err = w.ConnectToken(t.Context(), login, [32]byte{})
	require.NoError(t, err, "chats that run go on")
}

// What must be told is told, for each network.
func TestBuiltinTerms(t *testing.T) {
	w := newWorld(t)
	for _, n := range []network.Network{network.WhatsApp, network.Messenger} {
		text := w.Terms(n).Text
		for _, must := range []string{n.DisplayName(), "Example", "another service", "not verified", "different kind of encryption",
			"bridge decrypts", "could read them", "own data policy", "Spam", "Disappearing messages", "one device",
			"first message", "European Economic Area", "stop at any time", "stays readable"} {
			require.Contains(t, text, must)
		}
		require.NotContains(t, text, "{")
	}
}
