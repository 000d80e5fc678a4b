package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"

	"causeway/interop"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

var (
	self = network.Interop(network.WhatsApp, 12, "105012705411308")
	anna = network.LID("90000000000001")
)

// far is a network that never answers, as after the connection broke.
type far struct {
	network.Client
	asked int
}

func (f *far) Send(ctx context.Context, _ network.Message) (network.Sent, error) {
	f.asked++
	<-ctx.Done()
	return network.Sent{}, fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, ctx.Err())
}

func TestAnAttemptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := sender{Client: &far{}}.Send(t.Context(), network.Message{Content: network.Text{Body: "hi"}})
		require.ErrorIs(t, err, network.ErrOutcomeUnknown)
		require.Equal(t, attemptPatience, time.Since(start))
	})
}

func TestAFileThatCannotBeFoundIsNotSent(t *testing.T) {
	for _, reference := range []string{"", "{", `{"msgtype":"m.image"}`} {
		f := &far{}
		_, err := sender{f, newClient(New(), nil, self, product{})}.Send(t.Context(), network.Message{
			Content: network.Media{Kind: network.Image, Reference: []byte(reference)},
		})
		require.Error(t, err)
		require.True(t, errors.Is(err, network.ErrRejected) || errors.Is(err, network.ErrUnsupported), err)
		require.Zero(t, f.asked)
	}
}

func TestTheInboxNamesRoomsAsPortalsAreNamed(t *testing.T) {
	require.Equal(t, portal.Key(anna, self), New().PortalKey(puppet.LoginID(self), anna))
}

func TestADelayIsExplained(t *testing.T) {
	for _, passing := range []error{network.ErrNotConnected, network.ErrTemporary, network.ErrOutcomeUnknown, network.ErrRateLimited} {
		text := delayedSentence(fmt.Errorf("failed to send: %w", passing), network.WhatsApp)
		require.True(t, strings.HasPrefix(text, "Not delivered yet; still trying. (CW-14"), text)
	}
	for _, standing := range []error{network.ErrTokenRefused, interop.ErrStopped} {
		text := delayedSentence(fmt.Errorf("%w: %w", standing, network.ErrNotConnected), network.WhatsApp)
		p, _ := findProblem(standing)
		require.Contains(t, text, "Not delivered yet; still trying. "+p.sentence(network.WhatsApp))
	}
}

func TestJournalFilesLieBesideTheDatabase(t *testing.T) {
	c := New()
	c.StateDir = "/etc/causeway"
	for uri, base := range map[string]string{
		"file:causeway.db?_txlock=immediate": "causeway.db",
		"file:///var/lib/causeway/cw.db":     "/var/lib/causeway/cw.db",
		"/srv/cw.db?_txlock=immediate":       "/srv/cw.db",
	} {
		files := c.journalFiles(dbutil.Config{PoolConfig: dbutil.PoolConfig{Type: "sqlite3-fk-wal-fullsync", URI: uri}})
		require.Equal(t, journalFiles{secret: base + ".secret", lock: base + ".lock", epoch: base + ".epoch"}, files)
	}
	c.config.SecretFile, c.config.Delivery.EpochFile = "/run/secret", "/run/epoch"
	files := c.journalFiles(dbutil.Config{PoolConfig: dbutil.PoolConfig{Type: "postgres", URI: "postgres://localhost/causeway"}})
	require.Equal(t, journalFiles{secret: "/run/secret", lock: "/etc/causeway/causeway.lock", epoch: "/run/epoch"}, files)
}
