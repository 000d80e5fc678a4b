package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"causeway/failpoint"
)

var (
	// errTaken says that a ciphertext was opened and taken before.
	errTaken = errors.New("the message was taken before")
	// errPadding says that a plaintext does not end as it must.
	errPadding = errors.New("plaintext without valid padding")
)

// opened is a message out of its envelope.
type opened struct {
	plaintext []byte
	// changed says that the sender has another identity key than before.
	changed bool
}

// open decrypts an envelope and has the message taken, all in one transaction: a ciphertext can be opened once only, so
// that the ratchet must not move without the message being on disk. An error of take undoes it.
func (s *signalState) open(
	ctx context.Context, device *store.Device, from types.JID, kind string, ciphertext []byte,
	take func(context.Context, opened) error,
) error {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s/%s/", from, kind)
	hash.Write(ciphertext)
	if err := failpoint.Hit(failpoint.OpenBefore); err != nil {
		return storeFailure("open a message", err)
	}
	var repeated bool
	err := s.change(ctx, func(ctx context.Context) error {
		fresh, kept, err := s.rows.MarkOpened(ctx, hash.Sum(nil), time.Now())
		switch {
		case err != nil:
			return storeFailure("mark an opened message", err)
		case !fresh && kept == nil:
			repeated = true
			return nil
		case !fresh:
			return take(ctx, opened{plaintext: kept})
		}
		message, err := s.decrypt(ctx, device, from, kind, ciphertext)
		if err != nil {
			return err
		}
		return take(ctx, message)
	})
	if err == nil && repeated {
		return errTaken
	}
	return err
}

// decrypt takes a message out of its envelope, as holder of the guard and in a transaction.
func (s *signalState) decrypt(ctx context.Context, device *store.Device, from types.JID, kind string, ciphertext []byte) (opened, error) {
	e := envelope{signal: s, device: device, from: from}
	plaintext, err := e.decrypt(ctx, kind, ciphertext)
	if err == nil && s.padded {
		plaintext, err = unpad(plaintext)
	}
	if err == nil {
		err = storeFailure("open a message", failpoint.Hit(failpoint.OpenRatcheted))
	}
	return opened{plaintext, e.changed}, err
}

// prune forgets what is too old to come again.
func (s *signalState) prune(ctx context.Context) error {
	return storeFailure("prune", s.rows.Prune(ctx, time.Now().Add(-keptEvents)))
}

// keptEvents is how long hashes of opened messages, and what was sent, are kept.
const keptEvents = 14 * 24 * time.Hour

// unpad strips the random padding, whose last byte is its length.
func unpad(padded []byte) ([]byte, error) {
	if len(padded) == 0 {
		return nil, errPadding
	}
	length := int(padded[len(padded)-1])
	if length == 0 || length > len(padded) {
		return nil, errPadding
	}
	body, tail := padded[:len(padded)-length], padded[len(padded)-length:]
	if !bytes.Equal(tail, bytes.Repeat(tail[:1], length)) {
		return nil, errPadding
	}
	return append([]byte{}, body...), nil
}

// envelope is the decryption of one message, as holder of the guard and in a transaction.
type envelope struct {
	signal  *signalState
	device  *store.Device
	from    types.JID
	changed bool
}

func (e *envelope) decrypt(ctx context.Context, kind string, ciphertext []byte) ([]byte, error) {
	if kind == "pkmsg" {
		message, err := protocol.NewPreKeySignalMessageFromBytes(ciphertext, serializer.PreKeySignalMessage, serializer.SignalMessage)
		if err != nil {
			return nil, fmt.Errorf("malformed prekey message: %w", err)
		}
		return e.begin(ctx, message)
	}
	message, err := protocol.NewSignalMessageFromBytes(ciphertext, serializer.SignalMessage)
	if err != nil {
		return nil, fmt.Errorf("malformed message: %w", err)
	}
	raw, err := e.signal.GetSession(ctx, e.address().String())
	if err != nil {
		return nil, err
	} else if raw == nil {
		return nil, signalerror.ErrNoSessionForUser
	}
	return e.tryStates(ctx, raw, message)
}

// begin opens a message that brings a session along. A sender with a new identity
// key starts over: what was known of the old one is dropped.
func (e *envelope) begin(ctx context.Context, message *protocol.PreKeySignalMessage) ([]byte, error) {
	address := e.address()
	key := message.IdentityKey().PublicKey().PublicKey()
	if trusted, err := e.signal.IsTrustedIdentity(ctx, address.String(), key); err != nil {
		return nil, err
	} else if !trusted {
		e.changed = true
		if err = e.signal.DeleteSession(ctx, address.String()); err != nil {
			return nil, err
		}
		if err = e.signal.PutIdentity(ctx, address.String(), key); err != nil {
			return nil, err
		}
	}
	current, err := e.device.LoadSession(ctx, address)
	if err != nil {
		return nil, err
	}
	used, err := session.NewBuilderFromSignal(signalDevice{e.device, e.signal.rows}, address, serializer).Process(ctx, current, message)
	if err != nil {
		return nil, fmt.Errorf("no session from a prekey message: %w", err)
	}
	plaintext, err := e.tryStates(ctx, current.Serialize(), message.WhisperMessage())
	if err != nil || used.IsEmpty {
		return plaintext, err
	}
	return plaintext, e.signal.RemovePreKey(ctx, used.Value)
}

// tryStates decrypts with the current state of a session, or an earlier one, which
// then becomes the current. Each attempt works on a copy: the Signal library changes a
// state before it knows whether the message belongs to it, and would ruin both
// sessions when two people write first at the same time.
func (e *envelope) tryStates(ctx context.Context, raw []byte, message *protocol.SignalMessage) ([]byte, error) {
	address := e.address()
	cipher := session.NewCipher(session.NewBuilderFromSignal(signalDevice{e.device, e.signal.rows}, address, serializer), address)
	var first error
	for index := 0; ; index++ {
		attempt, err := record.NewSessionFromBytes(raw, serializer.Session, serializer.State)
		if err != nil {
			return nil, fmt.Errorf("%w to read a session: %w", errStore, err)
		}
		earlier := attempt.PreviousSessionStates()
		if index > len(earlier) {
			return nil, first
		}
		state := attempt.SessionState()
		if index > 0 {
			state = earlier[index-1]
		}
		plaintext, _, err := cipher.DecryptWithState(ctx, state, message)
		switch {
		case errors.Is(err, signalerror.ErrOldCounter):
			return nil, err
		case err != nil && first == nil:
			first = err
			continue
		case err != nil:
			continue
		}
		return plaintext, e.keep(ctx, attempt, index, state)
	}
}

// keep stores a session of which one state has opened a message.
func (e *envelope) keep(ctx context.Context, attempt *record.Session, index int, state *record.State) error {
	address := e.address()
	key := state.RemoteIdentityKey().PublicKey().PublicKey()
	if trusted, err := e.signal.IsTrustedIdentity(ctx, address.String(), key); err != nil {
		return err
	} else if !trusted {
		return signalerror.ErrUntrustedIdentity
	}
	if err := e.signal.PutIdentity(ctx, address.String(), key); err != nil {
		return err
	}
	if index > 0 {
		var err error
		if attempt, err = promote(attempt, index-1); err != nil {
			return fmt.Errorf("failed to promote a session state: %w", err)
		}
	}
	return e.signal.PutSession(ctx, address.String(), attempt.Serialize())
}

// promote makes an earlier state the current one, in whose place the current one goes to the front.
func promote(attempt *record.Session, index int) (*record.Session, error) {
	structure := attempt.Structure()
	promoted := structure.PreviousStates[index]
	states := []*record.StateStructure{structure.SessionState}
	states = append(states, structure.PreviousStates[:index]...)
	structure.PreviousStates = append(states, structure.PreviousStates[index+1:]...)
	structure.SessionState = promoted
	return record.NewSessionFromStructure(structure, serializer.Session, serializer.State)
}

func (e *envelope) address() *protocol.SignalAddress { return e.from.SignalAddress() }

// serializer is how the Signal library writes its records and messages.
var serializer = store.SignalProtobufSerializer
