package database

import (
	"context"
)

// joint is a transaction that others may join by its context.
type joint struct{ after []func(error) error }

type jointKey struct{}

// Transaction runs fn in one transaction. Whoever is called with its context may write in it and ask by [AfterCommit]
// to be told of its end.
func (db *Database) Transaction(ctx context.Context, fn func(context.Context) error) error {
	if Joint(ctx) {
		return fn(ctx)
	}
	j := &joint{}
	err := db.DoTxn(context.WithValue(ctx, jointKey{}, j), nil, fn)
	for _, told := range j.after {
		if failed := told(err); err == nil {
			err = failed
		}
	}
	return err
}

// Joint says whether ctx is part of a [Database.Transaction].
func Joint(ctx context.Context) bool {
	_, ok := ctx.Value(jointKey{}).(*joint)
	return ok
}

// AfterCommit has told called when the joint transaction of ctx is on disk, with nil, or has failed: then it is not
// known for sure that it is not. The first error that told returns becomes that of the transaction, which stays on disk.
// Without a joint transaction nothing happens.
func AfterCommit(ctx context.Context, told func(error) error) {
	if j, ok := ctx.Value(jointKey{}).(*joint); ok {
		j.after = append(j.after, told)
	}
}
