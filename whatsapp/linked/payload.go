package linked

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"google.golang.org/protobuf/proto"
)

// errNewest says that the network refuses the newest version that there is.
var errNewest = errors.New("the version is the newest already")

// payload is what a connection says of itself: as the library has it, with the version that is current by now and,
// while linking, the name for the phone's list of devices.
func (s *Store) payload(device *store.Device) *waWa6.ClientPayload {
	payload := device.GetClientPayload()
	s.mu.Lock()
	version := s.version
	s.mu.Unlock()
	payload.UserAgent.AppVersion = version.ProtoAppVersion()
	if pairing := payload.DevicePairingData; pairing != nil {
		hash := version.Hash()
		pairing.BuildHash = hash[:]
		pairing.DeviceProps = s.deviceProps(pairing.DeviceProps)
	}
	return payload
}

// deviceProps are the library's, as a desktop program under our name. What cannot be changed stays as it is.
func (s *Store) deviceProps(usual []byte) []byte {
	var props waCompanionReg.DeviceProps
	if proto.Unmarshal(usual, &props) != nil {
		return usual
	}
	if s.name != "" {
		props.Os = proto.String(s.name)
	}
	props.PlatformType = waCompanionReg.DeviceProps_DESKTOP.Enum()
	changed, err := proto.Marshal(&props)
	if err != nil {
		return usual
	}
	return changed
}

// renewVersion asks the network which version of its client is current, after ours was refused.
func (s *Store) renewVersion(ctx context.Context) error {
	latest, err := whatsmeow.GetLatestVersion(ctx, s.http)
	if err != nil {
		return fmt.Errorf("failed to fetch the current version: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.version.LessThan(*latest) {
		return errNewest
	}
	s.version = *latest
	return nil
}
