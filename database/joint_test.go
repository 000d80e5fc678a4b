package database

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJointTransactions(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		journal := db.Journal("")
		var ends []error
		add := func(ctx context.Context, seq int64, id string) {
			require.True(t, Joint(ctx))
			added, err := journal.AddInbox(ctx, inboxRow(seq, "anna", id))
			require.NoError(t, err)
			require.True(t, added)
			AfterCommit(ctx, func(err error) error {
				ends = append(ends, err)
				return err
			})
			require.Empty(t, ends, "not before the end")
		}
		require.False(t, Joint(t.Context()))
		require.NoError(t, db.Transaction(t.Context(), func(ctx context.Context) error {
			add(ctx, 1, "1")
			return db.Transaction(ctx, func(ctx context.Context) error {
				add(ctx, 2, "2")
				return nil
			})
		}))
		require.Equal(t, []error{nil, nil}, ends)

		cause := errors.New("no")
		ends = nil
		require.ErrorIs(t, db.Transaction(t.Context(), func(ctx context.Context) error {
			add(ctx, 3, "3")
			return cause
		}), cause)
		require.Equal(t, []error{cause}, ends)
		rows, err := journal.InboxByState(t.Context(), InboxNew, 10)
		require.NoError(t, err)
		require.Len(t, rows, 2)

		err = db.Transaction(t.Context(), func(ctx context.Context) error {
			AfterCommit(ctx, func(error) error { return cause })
			return nil
		})
		require.ErrorIs(t, err, cause, "who is told may still refuse")
	})
}
