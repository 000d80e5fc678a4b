package database

import (
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func enlistmentOf(user, account string) Enlistment {
	return Enlistment{
		LoginID: network.Interop(network.WhatsApp, 12, account).String(), EnlistmentID: "e_" + account, User: user,
		Network: network.WhatsApp, Integrator: 12, AccountID: account, Subject: "u_" + user, IdentifierType: "email",
		Identifier: "alice@example.eu", DisplayName: "Alice", KeysHash: "abc", Status: "active", ConsentID: "c_1",
		CreatedAt: at(1), UpdatedAt: at(1),
	}
}

func TestEnlistmentRows(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		first := enlistmentOf(alice, "105")
		require.Error(t, db.PutEnlistment(ctx, first), "there is no enlistment without a consent")
		require.NoError(t, db.InsertConsent(ctx, Consent{ID: "c_1", User: alice, Network: network.WhatsApp, GivenAt: at(0)}))
		require.NoError(t, db.PutEnlistment(ctx, first))
		row, err := db.Enlistment(ctx, first.LoginID)
		require.NoError(t, err)
		require.Equal(t, &first, row)

		renewed := first
		renewed.KeysHash, renewed.UpdatedAt = "def", at(2)
		require.NoError(t, db.PutEnlistment(ctx, renewed))
		row, err = db.Enlistment(ctx, first.LoginID)
		require.NoError(t, err)
		require.Equal(t, &renewed, row)

		stolen := enlistmentOf("@mallory:example.eu", "105")
		require.Error(t, db.PutEnlistment(ctx, stolen), "an account stays with its user")

		require.NoError(t, db.SetEnlistmentStatus(ctx, first.LoginID, "withdrawn", "abuse", at(3)))
		second := enlistmentOf(alice, "106")
		second.CreatedAt, second.UpdatedAt = at(4), at(4)
		require.NoError(t, db.PutEnlistment(ctx, second))
		rows, err := db.EnlistmentsOf(ctx, alice, network.WhatsApp)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Equal(t, second.LoginID, rows[0].LoginID, "newest change first")
		require.Equal(t, "abuse", rows[1].EndReason)
		rows, err = db.Enlistments(ctx, network.Messenger)
		require.NoError(t, err)
		require.Empty(t, rows)

		none, err := db.Enlistment(ctx, "whatsapp-interop-12-9")
		require.NoError(t, err)
		require.Nil(t, none)
	})
}

func TestSubjectIsForGood(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		first, err := db.Subject(ctx, alice, network.WhatsApp, "u_1")
		require.NoError(t, err)
		again, err := db.Subject(ctx, alice, network.WhatsApp, "u_2")
		require.NoError(t, err)
		require.Equal(t, first, again)
		other, err := db.Subject(ctx, alice, network.Messenger, "u_3")
		require.NoError(t, err)
		require.NotEqual(t, first, other)
		_, err = db.Subject(ctx, "@bob:example.eu", network.WhatsApp, "u_1")
		require.Error(t, err, "a subject is never another person's")
	})
}
