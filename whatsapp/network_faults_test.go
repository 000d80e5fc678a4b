package whatsapp

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire/wiretest"
)

// fault makes a fault for one login, which ends with the test.
func fault(t *testing.T, l *login, f meta.Fault) *meta.FaultHandle {
	t.Helper()
	f.Match.Account = l.client.Self().User
	handle := simulated.Net.Fault(f)
	t.Cleanup(handle.Remove)
	return handle
}

// conversing requires that both can hear each other.
func conversing(t *testing.T, l *login, told *events, bob wiretest.Person) {
	t.Helper()
	id, err := bob.Say(l.client.Self(), "do you hear me?")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "do you hear me?"})
	require.NoError(t, bob.WaitReceipt(patient(t), id, network.Delivered))
	question := "and you? " + id // a text of its own has an id of its own
	persist(t, l, bob, question)
	heard, err := bob.Hears(patient(t))
	for err == nil && heard.Text != question { // what was said before, and waited
		heard, err = bob.Hears(patient(t))
	}
	require.NoError(t, err)
}

func TestForeignCertificates(t *testing.T) {
	for _, kind := range []meta.FaultKind{meta.FaultCertificateRoot, meta.FaultCertificateLeafKey, meta.FaultCertificateExpired,
		meta.FaultCertificateEarly, meta.FaultCertificateIssuer} {
		t.Run(string(kind), func(t *testing.T) {
			told := &events{changed: make(chan struct{})}
			l := enlisted(t, told.handle)
			handle := simulated.Net.Fault(meta.Fault{Kind: kind})
			defer handle.Remove()
			require.NoError(t, l.client.Connect(t.Context()))
			t.Cleanup(l.client.Disconnect)
			require.ErrorContains(t, told.state(t, network.Interrupted).Err, "cert")
			told.state(t, network.Connected)
			require.Equal(t, 1, handle.Struck())
		})
	}
}

// A token that the network refuses for good ends the attempts after one more with a fresh token; a good one mends it.
func TestRefusedTokens(t *testing.T) {
	simulated.Net.ExpectFinding("token-replayed")
	jti := make([]byte, 16)
	_, _ = rand.Read(jti) // never fails
	for name, change := range map[string]func(map[string]any){
		"replayed":             func(claims map[string]any) { claims["jti"] = base64.RawURLEncoding.EncodeToString(jti) },
		"for another audience": func(claims map[string]any) { claims["aud"] = "urn:meta:interop:messenger" },
		"for another Noise key": func(claims map[string]any) {
			claims["cnf"] = map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "X25519", "x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, told, bob := meet(t)
			conversing(t, l, told, bob)
			if name == "replayed" {
				l.client.Disconnect()
				l.Claims(change) // the first use is a good one
				require.NoError(t, l.client.Connect(t.Context()))
				conversing(t, l, told, bob)
			}
			l.Claims(change)
			l.Drop()
			require.ErrorIs(t, told.state(t, network.Refused).Err, network.ErrTokenRefused)
			l.Claims(nil)
			require.NoError(t, l.client.Connect(t.Context()))
			conversing(t, l, told, bob)
		})
	}
}

// While the network cannot read our key set it knows no key of ours; a login goes on once it can.
func TestKeySetInTrouble(t *testing.T) {
	for _, trouble := range []string{"unreachable", "garbage"} {
		l, told, bob := meet(t)
		l.client.Disconnect()
		simulated.KeySet(trouble)
		require.NoError(t, l.client.Connect(t.Context()))
		require.ErrorIs(t, told.state(t, network.Refused).Err, network.ErrTokenRefused, trouble)
		simulated.KeySet("")
		require.NoError(t, l.client.Connect(t.Context()))
		conversing(t, l, told, bob)
	}
}

func TestAccountsInTrouble(t *testing.T) {
	for reason, want := range map[string]error{
		"401": network.ErrWithdrawn, "402": network.ErrSuspended, "402 451": network.ErrRegion, "403": network.ErrSuspended, "405": network.ErrOutdated,
		"406": network.ErrSuspended, "415": network.ErrNotEnlisted,
	} {
		l, told, _ := meet(t)
		code := ""
		reason, code, _ = strings.Cut(reason, " ")
		fault(t, l, meta.Fault{Kind: meta.FaultLogin, Params: map[string]string{"reason": reason, "code": code}})
		l.Drop()
		require.ErrorIs(t, told.state(t, network.Refused).Err, want, reason)
	}
	for _, reason := range []string{"500", "503"} {
		l, told, bob := meet(t)
		handle := fault(t, l, meta.Fault{Kind: meta.FaultLogin, Params: map[string]string{"reason": reason}})
		l.Drop()
		conversing(t, l, told, bob)
		require.Equal(t, 1, handle.Struck())
	}
}

func TestProviderRemoved(t *testing.T) {
	l, told, bob := meet(t)
	set := func(status string) {
		_, err := simulated.Net.ChangeIntegrator(wiretest.Integrator, func(i *meta.Integrator) { i.Status = status })
		require.NoError(t, err)
	}
	set("removed")
	defer set("active")
	l.Drop()
	require.ErrorIs(t, told.state(t, network.Refused).Err, network.ErrSuspended)
	set("active")
	require.NoError(t, l.client.Connect(t.Context()))
	conversing(t, l, told, bob)
}

func TestKeysOfPeopleInTrouble(t *testing.T) {
	for kind, want := range map[meta.FaultKind]error{meta.FaultNoBundle: network.ErrUnknownPerson, meta.FaultBadSignedPrekey: network.ErrNoEncryption} {
		l, told, bob := meet(t)
		fault(t, l, meta.Fault{Kind: kind})
		_, err := write(l, bob, "into the blue")
		require.ErrorIs(t, err, want, kind)
		conversing(t, l, told, bob)
		require.Len(t, bob.Heard(), 1, "nothing went out under keys that do not hold")
	}
	l, told, bob := meet(t)
	handle := fault(t, l, meta.Fault{Kind: meta.FaultNoOneTimeKey})
	conversing(t, l, told, bob)
	require.LessOrEqual(t, handle.Struck(), 1)
}

// A server that has lost our one-time keys gets new ones.
func TestServerLosesKeys(t *testing.T) {
	l, told, bob := meet(t)
	account := l.client.Self().User
	handle := fault(t, l, meta.Fault{Kind: meta.FaultPrekeysLost})
	l.Drop()
	require.Eventually(t, func() bool { return handle.Struck() == 1 && simulated.Net.OneTimeKeys(account) > 0 }, patience, time.Millisecond)
	conversing(t, l, told, bob)
}

// A phone that has lost its sessions, not its identity: what it could not read comes again, and nobody is warned.
func TestSessionResetLosesNothing(t *testing.T) {
	l, told, bob := meet(t)
	conversing(t, l, told, bob)
	bob.Reinstall()
	var ids []string
	for i := range 3 {
		sent, err := write(l, bob, fmt.Sprintf("to the lost session %d", i))
		require.NoError(t, err)
		ids = append(ids, sent.ID.ID)
	}
	var heard []string
	for range ids {
		message, err := bob.Hears(patient(t))
		require.NoError(t, err)
		heard = append(heard, message.ID)
	}
	require.ElementsMatch(t, ids, heard)
	id, err := bob.Say(l.client.Self(), "from the new one")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "from the new one"})
	told.mu.Lock()
	defer told.mu.Unlock()
	require.NotContains(t, told.all, network.IdentityEvent{Person: bob.Address()})
}

// What is not of the form that the network promises is not shown, and what follows is.
func TestDeformedMessages(t *testing.T) {
	for _, kind := range []meta.FaultKind{meta.FaultSenderDevice, meta.FaultParticipants, meta.FaultStringJID} {
		l, told, bob := meet(t)
		conversing(t, l, told, bob)
		fault(t, l, meta.Fault{Kind: kind})
		id, err := bob.Say(l.client.Self(), "deformed")
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return slices.ContainsFunc(simulated.Net.Refusals(), func(r meta.Refusal) bool { return r.ID == id && r.Code != 0 })
		}, patience, 10*time.Millisecond, kind)
		conversing(t, l, told, bob)
		require.Zero(t, told.count(id), kind)
	}
	l, told, bob := meet(t)
	conversing(t, l, told, bob)
	fault(t, l, meta.Fault{Kind: meta.FaultNoPadding})
	id, err := bob.Say(l.client.Self(), "without padding")
	require.NoError(t, err)
	told.message(t, id, network.Undecryptable{})
	conversing(t, l, told, bob)
}

// count is how often a message was told of.
func (e *events) count(id string) (count int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		if message, ok := event.(network.MessageEvent); ok && message.Message.ID.ID == id {
			count++
		}
	}
	return count
}

func TestMessagesThatComeOddly(t *testing.T) {
	l, told, bob := meet(t)
	conversing(t, l, told, bob)

	fault(t, l, meta.Fault{Kind: meta.FaultReorder})
	first, err := bob.Say(l.client.Self(), "overtaken")
	require.NoError(t, err)
	second, err := bob.Say(l.client.Self(), "overtakes")
	require.NoError(t, err)
	told.message(t, second, network.Text{Body: "overtakes"})
	told.message(t, first, network.Text{Body: "overtaken"})

	// Another text under the id of the message before is told of; whose history it may not change is the journal's to know.
	once, err := bob.Say(l.client.Self(), "one id")
	require.NoError(t, err)
	fault(t, l, meta.Fault{Kind: meta.FaultSameID})
	again, err := bob.Say(l.client.Self(), "other text")
	require.NoError(t, err)
	require.Equal(t, once, again)
	conversing(t, l, told, bob)
}

func TestEveryRefusalOfAMessage(t *testing.T) {
	l, told, bob := meet(t)
	for code, want := range map[string]error{
		"400": network.ErrRejected, "401": network.ErrSuspended, "403": network.ErrNotOptedIn, "404": network.ErrUnknownPerson, "413": network.ErrTooLarge,
		"429": network.ErrRateLimited, "451": network.ErrRegion, "479": network.ErrRejected, "500": network.ErrTemporary, "503": network.ErrTemporary,
	} {
		fault(t, l, meta.Fault{Kind: meta.FaultAck, Params: map[string]string{"code": code}})
		_, err := write(l, bob, "refused with "+code)
		require.ErrorIs(t, err, want)
	}
	conversing(t, l, told, bob)
	require.Len(t, bob.Heard(), 1, "nothing of what was refused")
}

// Whoever blocks us does not let us know: the message counts as sent, and nothing ever says that it arrived.
func TestBlockedInSilence(t *testing.T) {
	l, told, bob := meet(t)
	conversing(t, l, told, bob)
	self := fmt.Sprintf("%d-%s@interop", wiretest.Integrator, l.client.Self().User)
	require.NoError(t, bob.Block(self))
	blocked, err := write(l, bob, "are you there?")
	require.NoError(t, err)
	require.NoError(t, bob.Unblock(self))
	conversing(t, l, told, bob)
	told.mu.Lock()
	defer told.mu.Unlock()
	require.False(t, slices.ContainsFunc(told.all, func(event network.Event) bool {
		receipt, ok := event.(network.ReceiptEvent)
		return ok && slices.Contains(receipt.IDs, blocked.ID.ID)
	}))
}

// However often a phone asks for a message, it gets it five times more at most; what was never sent it does not get at all.
func TestRetryStorms(t *testing.T) {
	l, told, bob := meet(t)
	conversing(t, l, told, bob)
	self := fmt.Sprintf("%d-%s@interop", wiretest.Integrator, l.client.Self().User)
	sent, err := write(l, bob, "asked for again and again")
	require.NoError(t, err)
	_, err = bob.Hears(patient(t))
	require.NoError(t, err)
	for range 10 {
		require.NoError(t, bob.AskAgain(self, sent.ID.ID, 4)) // never says that it is the sixth time
	}
	require.NoError(t, bob.AskAgain(self, "3EB0NEVERSENT", 3))
	conversing(t, l, told, bob)
	again := strings.Count(simulated.Net.Transcript(), fmt.Sprintf(`<message device_fanout="false" id=%q`, sent.ID.ID))
	require.Positive(t, again)
	require.LessOrEqual(t, again, 5)
	require.NotContains(t, simulated.Net.Transcript(), `<message device_fanout="false" id="3EB0NEVERSENT"`)
}

func TestServerRestarts(t *testing.T) {
	l, told, bob := meet(t)
	conversing(t, l, told, bob)
	for _, forgetful := range []bool{false, true} {
		l.client.Disconnect()
		waiting, err := bob.Say(l.client.Self(), "waits at the server")
		require.NoError(t, err)
		simulated.Net.Restart(forgetful)
		require.NoError(t, l.client.Connect(t.Context()))
		conversing(t, l, told, bob)
		require.Equal(t, forgetful, told.count(waiting) == 0)
	}
	simulated.Net.Restart(false)
	conversing(t, l, told, bob)
}

// Whoever has left the region of third-party chats cannot be written to, until they come back.
func TestPersonLeavesTheRegion(t *testing.T) {
	l, told, bob := meet(t)
	conversing(t, l, told, bob)
	bob.SetRegion("US")
	_, err := write(l, bob, "on the other side of the sea")
	require.ErrorIs(t, err, network.ErrRegion)
	bob.SetRegion("DE")
	conversing(t, l, told, bob)
}
