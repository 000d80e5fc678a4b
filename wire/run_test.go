package wire

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func ready() error { return nil }

// Whoever hears that a login was refused can start it again at once, also from another goroutine before the old one has ended.
func TestRunStartsAgainRightAfterItsEnd(t *testing.T) {
	var run Run
	told, release, order := make(chan struct{}), make(chan struct{}), make(chan string, 4)
	require.NoError(t, run.Start(t.Context(), ready, func(_ context.Context, end func()) {
		end()
		close(told)
		<-release
		order <- "the first has returned"
	}))
	<-told
	require.NoError(t, run.Start(t.Context(), ready, func(ctx context.Context, _ func()) {
		order <- "the second runs"
		<-ctx.Done()
	}))
	require.Empty(t, order, "the second waits for the first")
	close(release)
	require.Equal(t, "the first has returned", <-order)
	require.Equal(t, "the second runs", <-order)
	require.NoError(t, run.Start(t.Context(), ready, func(context.Context, func()) { order <- "a third" }))
	run.Stop()
	require.Empty(t, order, "one that runs is left alone")
	run.Stop()
}

// What is stopped while it waits for its predecessor ends with it.
func TestRunIsStoppedBeforeItBegins(t *testing.T) {
	var run Run
	told, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	require.NoError(t, run.Start(t.Context(), ready, func(_ context.Context, end func()) {
		end()
		close(told)
		<-release
	}))
	<-told
	require.NoError(t, run.Start(t.Context(), ready, func(ctx context.Context, _ func()) { done <- ctx.Err() }))
	stopped := make(chan struct{})
	go func() {
		run.Stop()
		close(stopped)
	}()
	close(release)
	<-stopped
	<-done
	require.NoError(t, run.Start(t.Context(), ready, func(ctx context.Context, _ func()) { done <- ctx.Err() }))
	require.NoError(t, <-done, "and can be started again")
	run.Stop()
}

func TestRunOutlivesItsBeginner(t *testing.T) {
	var run Run
	failure := errors.New("no keys")
	require.ErrorIs(t, run.Start(t.Context(), func() error { return failure }, nil), failure)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := make(chan error, 1)
	began := make(chan error, 1)
	require.NoError(t, run.Start(ctx, ready, func(ctx context.Context, _ func()) {
		began <- ctx.Err()
		<-ctx.Done()
		ended <- ctx.Err()
	}))
	require.NoError(t, <-began)
	run.Stop()
	require.Error(t, <-ended)
}

func TestPausesGrowAndStartOver(t *testing.T) {
	pauses := Pauses{First: time.Second}
	require.LessOrEqual(t, pauses.Next(), time.Second)
	for n := range 70 {
		got := pauses.Next()
		require.GreaterOrEqual(t, got, time.Second/2)
		require.LessOrEqual(t, got, longestPause)
		if n > 9 {
			require.GreaterOrEqual(t, got, longestPause/2)
		}
	}
	require.False(t, pauses.Held(steadyAfter))
	require.Greater(t, pauses.Next(), time.Second)
	require.True(t, pauses.Held(steadyAfter+time.Second))
	require.LessOrEqual(t, pauses.Next(), time.Second)
}
