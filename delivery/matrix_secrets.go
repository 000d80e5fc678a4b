package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
)

// The kinds of [database.LatestRow].
const (
	latestKeyCounts   = "key_counts"
	latestDeviceLists = "device_lists"
)

func (m *matrixInbox) passEphemeral(ctx context.Context) {
	defer m.lanes.done.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case evt := <-m.ephemeral:
			if m.d.now().Sub(evt.Mautrix.ReceivedAt) < ephemeralAge {
				m.dispatch(ctx, evt)
			}
		}
	}
}

func (m *matrixInbox) watchSecrets(ctx context.Context) {
	defer m.lanes.done.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.toDevice:
			m.handleSecrets(ctx)
		}
	}
}

// handleSecrets passes on what the crypto machine needs, in order of arrival. What fails stays for the next time.
func (m *matrixInbox) handleSecrets(ctx context.Context) {
	rows, err := m.d.journal.OpenToDevice(ctx)
	if err != nil {
		m.d.log.Err(err).Msg("Failed to read to-device events")
		return
	}
	for _, row := range rows {
		var evt event.Event
		raw, err := m.d.secret.unlock(row.Raw, toDeviceSeal(row.Hash)...)
		if err == nil && json.Unmarshal(raw, &evt) == nil {
			evt.Type.Class = event.ToDeviceEventType
			evt.Mautrix.EventSource = event.SourceToDevice
			m.dispatch(ctx, &evt)
		}
		m.d.write(func(ctx context.Context) error { return m.d.journal.DoneToDevice(ctx, row.Hash) })
	}
	latest, err := m.d.journal.Latest(ctx)
	if err != nil {
		m.d.log.Err(err).Msg("Failed to read key counts")
		return
	}
	for _, row := range latest {
		m.passLatest(ctx, row)
		m.d.write(func(ctx context.Context) error { return m.d.journal.DropLatest(ctx, row) })
	}
	_ = m.d.flush(ctx)
}

func (m *matrixInbox) passLatest(ctx context.Context, row database.LatestRow) {
	switch row.Kind {
	case latestKeyCounts:
		var counts mautrix.OTKCount
		if json.Unmarshal(row.Value, &counts) == nil {
			user, device, _ := strings.Cut(row.Item, "|")
			counts.UserID, counts.DeviceID = id.UserID(user), id.DeviceID(device)
			m.d.dispatch.KeyCounts(ctx, &counts)
		}
	case latestDeviceLists:
		var lists mautrix.DeviceLists
		if json.Unmarshal(row.Value, &lists) == nil {
			m.d.dispatch.DeviceLists(ctx, &lists)
		}
	}
}

func toDeviceSeal(hash string) []string { return []string{"cw_mx_todevice", hash} }

// hashOf names what has no id of its own.
func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
