package wire

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGuardIsHeldByOne(t *testing.T) {
	g := NewGuard()
	var running, most int
	var workers sync.WaitGroup
	for range 20 {
		workers.Go(func() {
			err := g.Do(t.Context(), func(ctx context.Context) error {
				running++ // the race detector sees it if two are in here
				most = max(most, running)
				err := g.Do(ctx, func(context.Context) error { return nil }) // a holder may go in again
				running--
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	require.Equal(t, 1, most)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := g.Do(t.Context(), func(context.Context) error {
		return g.Do(ctx, func(context.Context) error { return nil }) // not the holder's context
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestGuardSurvivesPanic(t *testing.T) {
	s := newSignalState(newMemory())
	err := s.change(t.Context(), func(ctx context.Context) error {
		require.NoError(t, s.PutSession(ctx, "5_1:0", []byte{1}))
		panic("in the middle")
	})
	require.ErrorContains(t, err, "in the middle")
	require.NoError(t, s.change(t.Context(), func(ctx context.Context) error {
		known, err := s.HasSession(ctx, "5_1:0")
		require.False(t, known, "undone in the cache, too")
		return err
	}))
}

func TestSessionsNeedTheGuard(t *testing.T) {
	s := newSignalState(newMemory())
	_, err := s.GetSession(t.Context(), "5_1:0")
	require.ErrorIs(t, err, errUnguarded)
	require.ErrorIs(t, s.PutSession(t.Context(), "5_1:0", []byte{1}), errUnguarded)
	require.ErrorIs(t, s.DeleteSession(t.Context(), "5_1:0"), errUnguarded)
}

func TestCacheFollowsTheRows(t *testing.T) {
	rows := newMemory()
	s := newSignalState(rows)
	ctx := t.Context()
	require.NoError(t, s.guard.Do(ctx, func(ctx context.Context) error {
		for _, step := range []struct {
			do   func() error
			want []byte
		}{
			{func() error { return nil }, nil},
			{func() error { return s.PutSession(ctx, "5_1:0", []byte{1}) }, []byte{1}},
			{func() error { return s.DeleteSession(ctx, "5_1:0") }, nil},
			{func() error { return s.PutSession(ctx, "5_1:0", []byte{2}) }, []byte{2}},
			{func() error { return s.DeleteAllSessions(ctx, "5_1") }, nil},
		} {
			require.NoError(t, step.do())
			cached, err := s.GetSession(ctx, "5_1:0")
			require.NoError(t, err)
			require.Equal(t, step.want, cached)
			require.Equal(t, step.want, rows.rows.sessions["5_1:0"])
		}
		rows.fail = errBroken
		require.ErrorIs(t, s.PutSession(ctx, "5_1:0", []byte{3}), errStore)
		cached, err := s.GetSession(ctx, "5_1:0")
		require.NoError(t, err)
		require.Nil(t, cached, "a failed write is not remembered")
		return nil
	}))
}

func TestUnchangedIdentityIsNotWritten(t *testing.T) {
	rows := newMemory()
	s := newSignalState(rows)
	ctx, one, two := t.Context(), [32]byte{1}, [32]byte{2}
	for range 5 {
		require.NoError(t, s.PutIdentity(ctx, "5_1:0", one))
	}
	require.Equal(t, 1, rows.writes)
	trusted, err := s.IsTrustedIdentity(ctx, "5_1:0", two)
	require.NoError(t, err)
	require.False(t, trusted)
	require.NoError(t, s.DeleteAllIdentities(ctx, "5_1"))
	trusted, err = s.IsTrustedIdentity(ctx, "5_1:0", two)
	require.NoError(t, err)
	require.True(t, trusted, "the first key seen is trusted")
}

func TestPreKeys(t *testing.T) {
	rows := newMemory()
	s := newSignalState(rows)
	ctx := t.Context()
	first, err := s.GetOrGenPreKeys(ctx, 5)
	require.NoError(t, err)
	require.Len(t, first, 5)
	again, err := s.GetOrGenPreKeys(ctx, 7)
	require.NoError(t, err)
	require.Len(t, again, 7)
	for i, key := range again {
		require.EqualValues(t, i+1, key.KeyID)
		if i < len(first) {
			require.Equal(t, first[i].Priv, key.Priv, "keys that were not uploaded are offered again")
		}
	}
	require.NoError(t, s.MarkPreKeysAsUploaded(ctx, 7))
	count, err := s.UploadedPreKeyCount(ctx)
	require.NoError(t, err)
	require.Equal(t, 7, count)
	require.NoError(t, s.RemovePreKey(ctx, 7))
	next, err := s.GetOrGenPreKeys(ctx, 1)
	require.NoError(t, err)
	require.EqualValues(t, 8, next[0].KeyID, "ids do not return")
	rows.rows.last = maxPreKeyID
	_, err = s.GenOnePreKey(ctx)
	require.ErrorIs(t, err, errStore)
}

func TestLRU(t *testing.T) {
	c := newLRU[string, int](2)
	c.put("a", 1)
	c.put("b", 2)
	c.get("a")
	c.put("c", 3)
	_, found := c.get("b")
	require.False(t, found, "what was not used for longest goes")
	value, found := c.get("a")
	require.True(t, found)
	require.Equal(t, 1, value)
	c.drop("a")
	_, found = c.get("a")
	require.False(t, found)
	c.clear()
	_, found = c.get("c")
	require.False(t, found)
}
