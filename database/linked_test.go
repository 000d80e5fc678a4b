package database

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinkedLogins(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		none, err := db.LinkedLogin(ctx, "whatsapp-lid-1")
		require.NoError(t, err)
		require.Nil(t, none)

		first := LinkedLogin{Login: "whatsapp-lid-1", Device: "49:1@s", Phone: "49", TrustRoot: []byte{1}, LinkedAt: 1, PhoneSeen: 2}
		other := LinkedLogin{Login: "whatsapp-lid-2", Device: "50:1@s", Phone: "50", TrustRoot: []byte{1}, LinkedAt: 1, PhoneSeen: 2}
		require.NoError(t, db.PutLinkedLogin(ctx, first))
		require.NoError(t, db.PutLinkedLogin(ctx, other))
		require.NoError(t, db.PutLinkedAliases(ctx, first.Login, []LinkedAlias{{"10", "49"}, {"11", "50"}}))
		require.NoError(t, db.PutLoosePhone(ctx, first.Login, "51"))
		require.NoError(t, db.PutLoosePhone(ctx, first.Login, "51"))

		// linking again keeps what the login knows
		again := first
		again.Device, again.PhoneSeen = "49:2@s", 5
		require.NoError(t, db.PutLinkedLogin(ctx, again))
		found, err := db.LinkedLoginByPhone(ctx, "49")
		require.NoError(t, err)
		require.Equal(t, &again, found)
		require.NoError(t, db.DeleteLinkedLogin(ctx, first.Login, first.Device), "the old device's end is not the login's")
		require.NoError(t, db.SetPhoneSeen(ctx, first.Login, 9, true))
		all, err := db.LinkedLogins(ctx)
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.True(t, all[0].PhoneAway)

		// a number moves to another LID, and a LID gets another number
		require.NoError(t, db.PutLinkedAliases(ctx, first.Login, []LinkedAlias{{"12", "50"}, {"10", "48"}}))
		aliases, err := db.LinkedAliases(ctx, first.Login)
		require.NoError(t, err)
		require.ElementsMatch(t, []LinkedAlias{{"10", "48"}, {"12", "50"}}, aliases)
		aliases, err = db.LinkedAliases(ctx, other.Login)
		require.NoError(t, err)
		require.Empty(t, aliases, "no login learns from another")
		loose, err := db.LoosePhones(ctx, first.Login)
		require.NoError(t, err)
		require.Equal(t, []string{"51"}, loose)
		require.NoError(t, db.DropLoosePhone(ctx, first.Login, "51"))

		require.NoError(t, db.DeleteLinkedLogin(ctx, first.Login, again.Device))
		aliases, err = db.LinkedAliases(ctx, first.Login)
		require.NoError(t, err)
		require.Empty(t, aliases)
	})
}
