package meta

import (
	"fmt"

	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/store"
)

// withOnlyCurrentChanged is a session as it is to be stored after a message was opened or
// sealed. When both sides have begun a session at the same time, a phone keeps both, and
// the Signal library tries a message on each of them; it leaves its marks on those that did
// not fit, and would not understand their next messages. Only the state now in use may differ
// from what was stored before.
func withOnlyCurrentChanged(before, after []byte) ([]byte, error) {
	serializer := store.SignalProtobufSerializer
	stored, err := record.NewSessionFromBytes(before, serializer.Session, serializer.State)
	if err != nil {
		return nil, fmt.Errorf("failed to read the stored session: %w", err)
	}
	changed, err := record.NewSessionFromBytes(after, serializer.Session, serializer.State)
	if err != nil {
		return nil, fmt.Errorf("failed to read the new session: %w", err)
	}
	was, is := stored.Structure(), changed.Structure()
	// The base key of whoever began a session names its state.
	unspoilt := map[string]*record.StateStructure{string(was.SessionState.SenderBaseKey): was.SessionState}
	for _, state := range was.PreviousStates {
		unspoilt[string(state.SenderBaseKey)] = state
	}
	seen := map[string]bool{string(is.SessionState.SenderBaseKey): true}
	var previous []*record.StateStructure
	for _, state := range is.PreviousStates {
		key := string(state.SenderBaseKey)
		if seen[key] {
			continue
		}
		seen[key] = true
		if earlier := unspoilt[key]; earlier != nil {
			state = earlier
		}
		previous = append(previous, state)
	}
	is.PreviousStates = previous
	mended, err := record.NewSessionFromStructure(is, serializer.Session, serializer.State)
	if err != nil {
		return nil, fmt.Errorf("failed to rebuild the session: %w", err)
	}
	return mended.Serialize(), nil
}
