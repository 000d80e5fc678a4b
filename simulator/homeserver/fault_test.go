package homeserver_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/simulator/homeserver"
)

// faulty is a server with a room, and a way to send into it with a limit of patience.
func faulty(t *testing.T) (*homeserver.Server, id.RoomID, func(txn string) error) {
	ctx, hs := timeLimit(t), homeserver.Start(t)
	alice := user(t, hs, "alice")
	made, err := alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{})
	require.NoError(t, err)
	return hs, made.RoomID, func(txn string) error {
		patience, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		alice.Client.CloseIdleConnections()
		_, err := alice.SendMessageEvent(patience, made.RoomID, event.EventMessage, &event.MessageEventContent{
			MsgType: event.MsgText, Body: txn,
		}, mautrix.ReqSendEvent{TransactionID: txn})
		return err
	}
}

func TestFaults(t *testing.T) {
	refusedWith := func(want error) func(*testing.T, error) {
		return func(t *testing.T, err error) { require.ErrorIs(t, err, want) }
	}
	status := func(want int) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			var refusal mautrix.HTTPError
			require.True(t, errors.As(err, &refusal), "%v", err)
			require.Equal(t, want, refusal.Response.StatusCode)
		}
	}
	noAnswer := func(t *testing.T, err error) {
		require.Error(t, err)
		var refusal mautrix.HTTPError
		if errors.As(err, &refusal) {
			require.Nil(t, refusal.RespError)
		}
	}
	for name, want := range map[string]struct {
		fault     homeserver.Fault
		err       func(*testing.T, error)
		committed bool
	}{
		"500":                  {homeserver.Fault{Kind: homeserver.Status500}, status(500), false},
		"502":                  {homeserver.Fault{Kind: homeserver.Status500, Status: 502}, status(502), false},
		"429":                  {homeserver.Fault{Kind: homeserver.Status429, Retry: "999999"}, status(429), false},
		"forbidden":            {homeserver.Fault{Kind: homeserver.Forbidden}, refusedWith(mautrix.MForbidden), false},
		"unknown token":        {homeserver.Fault{Kind: homeserver.UnknownToken}, refusedWith(mautrix.MUnknownToken), false},
		"not found":            {homeserver.Fault{Kind: homeserver.NotFound}, refusedWith(mautrix.MNotFound), false},
		"too large":            {homeserver.Fault{Kind: homeserver.TooLarge}, refusedWith(mautrix.MTooLarge), false},
		"500 after commit":     {homeserver.Fault{Kind: homeserver.Status500AfterCommit}, status(500), true},
		"timeout":              {homeserver.Fault{Kind: homeserver.Timeout}, refusedWith(context.DeadlineExceeded), false},
		"timeout after commit": {homeserver.Fault{Kind: homeserver.TimeoutAfterCommit}, refusedWith(context.DeadlineExceeded), true},
		"drip":                 {homeserver.Fault{Kind: homeserver.Drip, Delay: 50 * time.Millisecond}, refusedWith(context.DeadlineExceeded), true},
		"cut before":           {homeserver.Fault{Kind: homeserver.CutBefore}, noAnswer, false},
		"cut after commit":     {homeserver.Fault{Kind: homeserver.CutAfterCommit}, noAnswer, true},
		"cut mid answer":       {homeserver.Fault{Kind: homeserver.CutMidAnswer}, noAnswer, true},
		"slow":                 {homeserver.Fault{Kind: homeserver.Slow, Delay: 10 * time.Millisecond}, func(t *testing.T, err error) { require.NoError(t, err) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			hs, room, send := faulty(t)
			want.fault.Count = 1
			want.fault.Path = regexp.MustCompile("^PUT /.*/send/")
			handle := hs.Fault(want.fault)
			want.err(t, send("x"))
			require.Equal(t, 1, handle.Hits())
			if want.committed {
				require.Equal(t, []string{"x"}, bodies(hs, room))
			} else {
				require.Empty(t, bodies(hs, room))
			}
			require.NoError(t, send("x"), "the fault is over, and the same transaction")
			require.Equal(t, []string{"x"}, bodies(hs, room))
		})
	}
}

func TestFaultEndsByTimeOrByHand(t *testing.T) {
	hs, _, send := faulty(t)
	handle := hs.Fault(homeserver.Fault{Kind: homeserver.Status500})
	require.Error(t, send("1"))
	require.Error(t, send("2"))
	handle.Clear()
	require.NoError(t, send("3"))
	require.Equal(t, 2, handle.Hits())
	hs.Fault(homeserver.Fault{Kind: homeserver.Status500, Duration: time.Nanosecond})
	require.NoError(t, send("4"))
	hs.Fault(homeserver.Fault{Kind: homeserver.Status500, Match: func(r *http.Request) bool { return r.Method == http.MethodGet }})
	require.NoError(t, send("5"))
}

func TestRetryAfterIsSentAsItIs(t *testing.T) {
	hs, _, _ := faulty(t)
	hs.Fault(homeserver.Fault{Kind: homeserver.Status429, Retry: "garbage"})
	resp, err := http.Get(hs.URL() + "/_matrix/client/versions")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 429, resp.StatusCode)
	require.Equal(t, "garbage", resp.Header.Get("Retry-After"))
}

func TestDownRefusesConnectionsAndUpKeepsTheAddress(t *testing.T) {
	hs, room, send := faulty(t)
	url := hs.URL()
	require.NoError(t, send("before"))
	hs.Down()
	require.ErrorContains(t, send("lost"), "refused")
	require.NoError(t, hs.Up())
	require.Equal(t, url, hs.URL())
	require.NoError(t, send("after"))
	require.Equal(t, []string{"before", "after"}, bodies(hs, room))
	require.Positive(t, hs.Connections())
	require.Equal(t, 2, hs.Requests()["PUT /_matrix/client/v3/rooms/{room}/send/{type}/{txn}"])
}

func TestFaultForOneGhostOnly(t *testing.T) {
	ctx, hs := timeLimit(t), homeserver.Start(t, homeserver.Appservice(registration("")))
	bob, carol := ghost(t, hs, "net_bob"), ghost(t, hs, "net_carol")
	hs.Fault(homeserver.Fault{Kind: homeserver.Status429, Match: homeserver.ActingAs("@net_bob:localhost")})
	_, err := bob.Whoami(ctx)
	require.ErrorIs(t, err, mautrix.MLimitExceeded)
	_, err = carol.Whoami(ctx)
	require.NoError(t, err)
}

func TestLatencyHoldsBackAnswers(t *testing.T) {
	hs := homeserver.Start(t, homeserver.Latency(30*time.Millisecond))
	start := time.Now()
	resp, err := http.Get(hs.URL() + "/_matrix/client/versions")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.GreaterOrEqual(t, time.Since(start), 30*time.Millisecond)
}
