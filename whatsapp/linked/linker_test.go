package linked

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/simulator/meta"
)

func TestLinkByQR(t *testing.T) {
	anna := person("Anna")
	keys := openStoreOn(t, openDatabase(t))
	attempt, err := NewLinker(keys, nil, quietLog(t)).LinkByQR(t.Context())
	require.NoError(t, err)
	defer attempt.Cancel()
	step, err := attempt.Next(within(t))
	require.NoError(t, err)
	require.Equal(t, network.LinkQR, step.Kind)
	require.WithinDuration(t, time.Now().Add(firstCodeFor), step.Until, 10*time.Second)
	device, err := anna.ScanQR(within(t), step.Code)
	require.NoError(t, err)
	require.Equal(t, "Causeway", device.Platform)
	step, err = attempt.Next(within(t))
	require.NoError(t, err)
	require.Equal(t, network.LinkScanned, step.Kind)
	step, err = attempt.Next(within(t))
	require.NoError(t, err)
	require.Equal(t, network.LinkDone, step.Kind)
	require.Equal(t, addressOf(t, anna), step.Account.Address)
	require.Equal(t, network.Phone(anna.Phone()), step.Account.Alias)
	_, err = attempt.Next(within(t))
	require.Error(t, err, "there is no step after the last")
	known, err := keys.db.LinkedLogin(t.Context(), step.Account.Address.String())
	require.NoError(t, err)
	require.Equal(t, device.JID, known.Device)
}

func TestLinkByCode(t *testing.T) {
	anna := person("Anna")
	linker := NewLinker(openStoreOn(t, openDatabase(t)), nil, quietLog(t))
	_, err := linker.LinkByCode(t.Context(), "0151 1234")
	require.ErrorIs(t, err, network.ErrBadIdentifier)
	attempt, err := linker.LinkByCode(t.Context(), anna.Phone())
	require.NoError(t, err)
	defer attempt.Cancel()
	step, err := attempt.Next(within(t))
	require.NoError(t, err)
	require.Equal(t, network.LinkCode, step.Kind)
	require.Regexp(t, `^[0-9A-Z]{4}-[0-9A-Z]{4}$`, step.Code)
	_, err = anna.EnterLinkCode(within(t), step.Code)
	require.NoError(t, err)
	for step.Kind != network.LinkDone {
		step, err = attempt.Next(within(t))
		require.NoError(t, err)
	}
	require.Equal(t, addressOf(t, anna), step.Account.Address)
}

// What the network refuses at linking is told as what it is.
func TestLinkingFails(t *testing.T) {
	for kind, want := range map[meta.FaultKind]error{
		meta.FaultPasskey: network.ErrPasskey, meta.FaultPairingSignature: network.ErrTemporary, meta.FaultPairingHMAC: network.ErrTemporary,
	} {
		t.Run(string(kind), func(t *testing.T) {
			anna := person("Anna")
			attempt, err := NewLinker(openStoreOn(t, openDatabase(t)), nil, quietLog(t)).LinkByQR(t.Context())
			require.NoError(t, err)
			defer attempt.Cancel()
			step, err := attempt.Next(within(t))
			require.NoError(t, err)
			fault := simulated.Fault(meta.Fault{Kind: kind, Match: meta.Match{Account: anna.LID()}, Count: 1})
			defer fault.Remove()
			_, _ = anna.ScanQR(within(t), step.Code) // whose end fails is the network's choice
			_, err = attempt.Next(within(t))
			require.ErrorIs(t, err, want)
		})
	}
}

// An account that must not be linked here is not: the phone has no new device, and a link that stands goes on.
func TestLinkingIsDeclined(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	anna.settle()
	before := anna.owner.LinkedDevices()
	reason := errors.New("it is somebody else's")
	var asked network.Address
	attempt, err := NewLinker(anna.store, func(_ context.Context, account network.Address) error {
		asked = account
		return reason
	}, quietLog(t)).LinkByQR(t.Context())
	require.NoError(t, err)
	defer attempt.Cancel()
	step, err := attempt.Next(within(t))
	require.NoError(t, err)
	_, err = anna.owner.ScanQR(within(t), step.Code)
	require.Error(t, err, "the phone says that it failed")
	_, err = attempt.Next(within(t))
	require.ErrorIs(t, err, reason)
	require.NotErrorIs(t, err, network.ErrTemporary)
	require.Equal(t, anna.Self(), asked)
	require.Equal(t, before, anna.owner.LinkedDevices())
	id, err := bob.Say(anna.owner.LID(), "still here")
	require.NoError(t, err)
	anna.hears(id)
	anna.Disconnect()
	anna.open(openStoreOn(t, anna.db), anna.Self())
	anna.connect()
}

// Codes are shown one after the other, each for its time; after the last one, or when the network ends the connection, it is
// said that nobody used them.
func TestCodesRunOut(t *testing.T) {
	shown := make(chan network.LinkStep, 3)
	c := &codes{attempt: &linking{steps: shown}, timer: time.NewTimer(time.Hour)}
	require.ErrorIs(t, c.take(t.Context(), &events.Disconnected{}), network.ErrTemporary)
	require.NoError(t, c.take(t.Context(), &events.QR{Codes: []string{"one", "two"}}))
	require.NoError(t, c.show(t.Context()))
	require.ErrorIs(t, c.show(t.Context()), network.ErrLinkTimeout)
	require.ErrorIs(t, c.take(t.Context(), &events.Disconnected{}), network.ErrLinkTimeout)
	first, second := <-shown, <-shown
	require.Equal(t, []string{"one", "two"}, []string{first.Code, second.Code})
	require.WithinDuration(t, time.Now().Add(firstCodeFor), first.Until, patience)
	require.True(t, second.Until.Before(first.Until))

	typed := &codes{attempt: &linking{steps: shown, phone: "4915110000001"}, shown: 1, timer: time.NewTimer(time.Hour)}
	require.NoError(t, typed.take(t.Context(), &events.QR{Codes: []string{"one"}}), "a typed code is asked for once")
	require.Empty(t, shown)
	require.ErrorIs(t, typed.show(t.Context()), network.ErrLinkTimeout)
}

func TestLinkingIsCancelled(t *testing.T) {
	attempt, err := NewLinker(openStoreOn(t, openDatabase(t)), nil, quietLog(t)).LinkByQR(t.Context())
	require.NoError(t, err)
	_, err = attempt.Next(within(t))
	require.NoError(t, err)
	attempt.Cancel()
	attempt.Cancel()
	_, err = attempt.Next(within(t))
	require.Error(t, err)
}

// A version that the network refuses is fetched anew, once.
func TestOutdatedVersion(t *testing.T) {
	anna := newDevice(t, "Anna")
	anna.Disconnect()
	old := store.WAVersionContainer{2, 3000, 1}
	anna.store.version = old
	account := meta.Match{Account: strings.TrimPrefix(anna.owner.Phone(), "+")}
	fault := simulated.Fault(meta.Fault{Kind: meta.FaultOutdated, Match: account})
	anna.connect()
	require.Positive(t, fault.Struck())
	require.True(t, old.LessThan(anna.store.version))
	fault.Remove()

	anna.Disconnect()
	fault = simulated.Fault(meta.Fault{Kind: meta.FaultOutdated, Match: account, Params: map[string]string{"always": "yes"}})
	defer fault.Remove()
	require.NoError(t, anna.Connect(t.Context()))
	refused := await(anna.told, "refusal", func(e network.ConnectionEvent) bool { return e.State == network.Refused })
	require.ErrorIs(t, refused.Err, network.ErrOutdated)
}

// So it is while linking.
func TestOutdatedVersionAtLinking(t *testing.T) {
	keys := openStoreOn(t, openDatabase(t))
	keys.version = store.WAVersionContainer{2, 3000, 1}
	fault := simulated.Fault(meta.Fault{Kind: meta.FaultOutdated})
	defer fault.Remove()
	anna := person("Anna")
	require.Equal(t, addressOf(t, anna), linkedBy(t, keys, anna))
	require.Positive(t, fault.Struck())
}

func TestBans(t *testing.T) {
	for reason, want := range map[string]error{"402": network.ErrBanned, "406": network.ErrBanned, "403": network.ErrLocked, "401": network.ErrUnlinked} {
		t.Run(reason, func(t *testing.T) {
			anna := newDevice(t, "Anna")
			anna.Disconnect()
			fault := simulated.Fault(meta.Fault{
				Kind: meta.FaultLogin, Match: meta.Match{Account: strings.TrimPrefix(anna.owner.Phone(), "+")},
				Params: map[string]string{"reason": reason, "code": "101", "expire": "3600"},
			})
			defer fault.Remove()
			require.NoError(t, anna.Connect(t.Context()))
			refused := await(anna.told, "refusal", func(e network.ConnectionEvent) bool { return e.State == network.Refused })
			require.ErrorIs(t, refused.Err, want)
			if reason == "402" {
				var ban *network.BanError
				require.ErrorAs(t, refused.Err, &ban)
				require.WithinDuration(t, time.Now().Add(time.Hour), ban.Until, patience)
				require.NotEmpty(t, ban.Reason)
			}
		})
	}
}
