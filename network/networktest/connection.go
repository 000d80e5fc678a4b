package networktest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func handlerRefuses(t *testing.T, h Harness) {
	comesAgain(t, h, func() error { return errNotNow })
}

func handlerPanics(t *testing.T, h Harness) {
	comesAgain(t, h, func() error { panic("handler of the suite") })
}

// comesAgain lets the handler fail on the first delivery of the second of three
// messages: all three must be taken once, in order, and only then be confirmed.
func comesAgain(t *testing.T, h Harness, fail func() error) {
	r, person := newRecorder(t), h.Person(t)
	refusals := 0
	r.before = func(event network.Event) error {
		message, ok := event.(network.MessageEvent)
		if ok && message.Message.Content == (network.Text{Body: "two"}) && refusals == 0 {
			refusals++
			return fail()
		}
		return nil
	}
	login := connected(t, h, r)
	var ids []string
	for _, body := range []string{"one", "two", "three"} {
		id, err := person.Say(login.Client().Self(), body)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	var got []string
	for _, event := range r.messages(3) {
		got = append(got, event.Message.ID.ID)
	}
	require.Equal(t, ids, got)
	for _, id := range ids {
		require.NoError(t, person.WaitReceipt(patient(t), id, network.Delivered))
	}
	r.states(network.Connected, 2)
	require.Len(t, r.messages(3), 3)
}

func reconnects(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	login.Drop()
	require.Error(t, r.states(network.Interrupted, 1).Err)
	r.states(network.Connected, 2)
	send(t, login, person, "after", "back again")
	heard, err := person.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, "back again", heard.Text)
}

func waitsWhileAway(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	id, err := person.Say(login.Client().Self(), "while there")
	require.NoError(t, err)
	require.NoError(t, person.WaitReceipt(patient(t), id, network.Delivered))
	login.Client().Disconnect()
	_, err = person.Say(login.Client().Self(), "while away")
	require.NoError(t, err)
	require.Len(t, r.messages(1), 1, "nothing arrives after Disconnect has returned")
	require.NoError(t, login.Client().Connect(t.Context()))
	require.Equal(t, network.Text{Body: "while away"}, r.messages(2)[1].Message.Content)
}

func noConnection(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := h.Login(t, r.handle)
	_, err := login.Client().Send(patient(t), text(login, person, "seed", "hello"))
	require.ErrorIs(t, err, network.ErrNotConnected)
	require.ErrorIs(t, login.Client().SetTyping(patient(t), person.Address(), true), network.ErrNotConnected)
	login.Client().Disconnect() // harmless without a connection
}

func notOptedIn(t *testing.T, h Harness) {
	r, stranger := newRecorder(t), h.Stranger(t)
	login := connected(t, h, r)
	_, err := login.Client().Send(patient(t), text(login, stranger, "seed", "hello"))
	require.ErrorIs(t, err, network.ErrNotOptedIn)
}

func optedOut(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	send(t, login, person, "before", "hello")
	require.NoError(t, person.OptOut())
	_, err := login.Client().Send(patient(t), text(login, person, "after", "still there?"))
	require.ErrorIs(t, err, network.ErrNotOptedIn)
}

func findsPeople(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	finder, ok := login.Client().(network.Finder)
	if !ok {
		t.Skip("the client finds nobody")
	}
	found, err := finder.Find(patient(t), person.Identifier())
	require.NoError(t, err)
	require.Equal(t, person.Address(), found.Address)
	if !ordinary(h) {
		_, err = finder.Find(patient(t), h.Stranger(t).Identifier())
		require.ErrorIs(t, err, network.ErrNotOptedIn)
	}
	_, err = finder.Find(patient(t), h.Unknown())
	require.ErrorIs(t, err, network.ErrUnknownPerson)
	_, err = finder.Find(patient(t), h.Malformed())
	require.ErrorIs(t, err, network.ErrBadIdentifier)
}

// expiredToken connects with tokens that are too old, as while a clock is wrong; once they are good the client connects by itself.
func expiredToken(t *testing.T, h Harness) {
	r, login := connectWith(t, h, ExpiredToken)
	require.ErrorIs(t, r.states(network.Interrupted, 2).Err, network.ErrTokenExpired)
	login.Token(GoodToken)
	r.states(network.Connected, 1)
}

func connectWith(t *testing.T, h Harness, state TokenState) (*recorder, Login) {
	r := newRecorder(t)
	login := h.Login(t, r.handle)
	login.Token(state)
	connect(t, login)
	return r, login
}

// refusedToken connects with tokens that nobody trusts, which must end in Refused, and then with good ones.
func refusedToken(t *testing.T, h Harness) {
	r, login := connectWith(t, h, ForeignToken)
	require.ErrorIs(t, r.states(network.Refused, 1).Err, network.ErrTokenRefused)
	login.Token(GoodToken)
	require.NoError(t, login.Client().Connect(t.Context()))
	r.states(network.Connected, 1)
}
