package database

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

const alice = "@alice:example.eu"

// Times are stored to the millisecond.
func at(ms int64) time.Time { return time.UnixMilli(1_790_000_000_000 + ms) }

func TestConsentLedger(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		offer := Consent{ID: "c_1", User: alice, Network: network.WhatsApp, TermsVersion: "1", TermsText: "be careful", OfferedAt: at(1)}
		require.NoError(t, db.InsertConsent(ctx, offer))
		require.Error(t, db.InsertConsent(ctx, offer), "an id is used once")

		open, err := db.OpenOffer(ctx, alice, network.WhatsApp, "1", "be careful")
		require.NoError(t, err)
		require.Equal(t, &offer, open)
		require.False(t, open.Current())
		for _, other := range []struct{ user, version, text string }{
			{"@bob:example.eu", "1", "be careful"}, {alice, "2", "be careful"}, {alice, "1", "be careless"},
		} {
			none, err := db.OpenOffer(ctx, other.user, network.WhatsApp, other.version, other.text)
			require.NoError(t, err)
			require.Nil(t, none)
		}

		given, err := db.GiveConsent(ctx, "c_1", "DE", at(2))
		require.NoError(t, err)
		require.True(t, given)
		given, err = db.GiveConsent(ctx, "c_1", "FR", at(3))
		require.NoError(t, err)
		require.False(t, given, "a yes is given once")
		row, err := db.Consent(ctx, "c_1")
		require.NoError(t, err)
		require.True(t, row.Current())
		require.Equal(t, "DE", row.Country)
		require.Equal(t, at(2), row.GivenAt)

		require.NoError(t, db.InsertConsent(ctx, Consent{ID: "c_2", User: alice, Network: network.Messenger, GivenAt: at(4)}))
		require.NoError(t, db.WithdrawConsents(ctx, alice, network.WhatsApp, at(5)))
		require.NoError(t, db.WithdrawConsents(ctx, alice, network.WhatsApp, at(6)))
		rows, err := db.Consents(ctx, alice, network.WhatsApp)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.False(t, rows[0].Current())
		require.Equal(t, at(5), rows[0].WithdrawnAt, "the first withdrawal counts")
		other, err := db.Consent(ctx, "c_2")
		require.NoError(t, err)
		require.True(t, other.Current(), "the networks are apart")
	})
}

func TestAbsentConsent(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		row, err := db.Consent(t.Context(), "c_none")
		require.NoError(t, err)
		require.Nil(t, row)
		require.False(t, row.Current())
	})
}
