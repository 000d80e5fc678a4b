package delivery

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

// matrixSide plays what delivery calls when it works from Matrix towards a network.
type matrixSide struct {
	lock      sync.Mutex
	client    *playedClient
	clientErr error
	reports   []Report
	reportErr error
	handled   []*event.Event
	counts    []*mautrix.OTKCount
	// handling is called with each Matrix event before it counts as handled.
	handling func(*event.Event)
	// creating is a room that is being created.
	creating id.RoomID
	// homeserver has the events that can be read again; fetchErr is why none can.
	homeserver map[id.EventID]string
	fetchErr   error
	// blind: encrypted events cannot be opened.
	blind bool
	// disk holds what the operator was told of the disk.
	disk []bool
}

func (m *matrixSide) Ready(_ context.Context, room id.RoomID) (bool, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return room != m.creating, nil
}

func (m *matrixSide) Opens() bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return !m.blind
}

// annasRoom is the only room that is known to be somebody's.
const annasRoom = "!anna:hs"

// Portal knows one room.
func (m *matrixSide) Portal(_ context.Context, room id.RoomID) (networkid.PortalKey, bool, error) {
	return networkid.PortalKey{ID: networkid.PortalID(anna.String()), Receiver: login}, room == annasRoom, nil
}

func (m *matrixSide) Fetch(_ context.Context, _ id.RoomID, event id.EventID) (json.RawMessage, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	raw, found := m.homeserver[event]
	switch {
	case m.fetchErr != nil:
		return nil, m.fetchErr
	case !found:
		return nil, mautrix.HTTPError{Response: &http.Response{StatusCode: http.StatusNotFound}, RespError: &mautrix.MNotFound}
	}
	return json.RawMessage(raw), nil
}

func (m *matrixSide) Client(context.Context, networkid.UserLoginID) (network.Client, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.clientErr != nil {
		return nil, m.clientErr
	}
	return m.client, nil
}

func (m *matrixSide) Report(_ context.Context, report Report) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.reportErr != nil {
		return m.reportErr
	}
	m.reports = append(m.reports, report)
	return nil
}

// Code names reasons by their text, so that tests can read them.
func (m *matrixSide) Code(err error) string { return err.Error() }

func (m *matrixSide) Disk(_ context.Context, low bool, _ uint64) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.disk = append(m.disk, low)
}

func (m *matrixSide) Event(_ context.Context, evt *event.Event) {
	m.lock.Lock()
	handling := m.handling
	m.lock.Unlock()
	if handling != nil {
		handling(evt)
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	m.handled = append(m.handled, evt)
}

func (m *matrixSide) KeyCounts(_ context.Context, counts *mautrix.OTKCount) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.counts = append(m.counts, counts)
}

func (m *matrixSide) DeviceLists(context.Context, *mautrix.DeviceLists) {}

func (m *matrixSide) change(change func()) {
	m.lock.Lock()
	defer m.lock.Unlock()
	change()
}

func (m *matrixSide) allReports() []Report {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]Report(nil), m.reports...)
}

func (m *matrixSide) handledIDs() []string {
	m.lock.Lock()
	defer m.lock.Unlock()
	var ids []string
	for _, evt := range m.handled {
		ids = append(ids, string(evt.ID))
	}
	return ids
}

// reported waits for a report of an event.
func (m *matrixSide) reported(t *testing.T, eventID string, progress Progress) (found Report) {
	t.Helper()
	until(t, func() bool {
		for _, r := range m.allReports() {
			if string(r.Event) == eventID && r.Progress == progress {
				found = r
				return true
			}
		}
		return false
	}, func() any { return m.allReports() })
	return found
}

// playedClient plays a network: it has what it was sent, and drops repeats of an id as recipients do.
type playedClient struct {
	lock sync.Mutex
	// sends are all calls, arrived what recipients see.
	sends   []network.Message
	arrived []network.Message
	// answer decides about a call: whether the message arrives, and what the sender is told.
	answer func(network.Message) (arrives bool, err error)
	// asked are the messages that it was told to ask for again, while it is connected.
	asked []string
	away  bool
}

func (c *playedClient) Ready() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.away {
		return network.ErrNotConnected
	}
	return nil
}

func (c *playedClient) AskAgain(_ context.Context, id network.MessageID, _ time.Time) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.away {
		return network.ErrNotConnected
	}
	c.asked = append(c.asked, id.ID)
	return nil
}

func (c *playedClient) askedFor() []string {
	c.lock.Lock()
	defer c.lock.Unlock()
	return slices.Clone(c.asked)
}

func newClient() *playedClient { return &playedClient{} }

func (c *playedClient) Send(_ context.Context, msg network.Message) (network.Sent, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.sends = append(c.sends, msg)
	arrives, err := true, error(nil)
	if c.answer != nil {
		arrives, err = c.answer(msg)
	}
	for _, old := range c.arrived {
		arrives = arrives && old.ID != msg.ID
	}
	if arrives {
		c.arrived = append(c.arrived, msg)
	}
	return network.Sent{Time: time.UnixMilli(1_700_000_000_000)}, err
}

func (c *playedClient) change(change func()) {
	c.lock.Lock()
	defer c.lock.Unlock()
	change()
}

func (c *playedClient) bodies() []string {
	c.lock.Lock()
	defer c.lock.Unlock()
	var bodies []string
	for _, msg := range c.arrived {
		bodies = append(bodies, msg.Content.(network.Text).Body)
	}
	return bodies
}

func (c *playedClient) calls() []network.Message {
	c.lock.Lock()
	defer c.lock.Unlock()
	return append([]network.Message(nil), c.sends...)
}

func (c *playedClient) Self() network.Address                                  { return network.Interop(network.WhatsApp, 12, "105") }
func (c *playedClient) Connect(context.Context) error                          { return nil }
func (c *playedClient) Disconnect()                                            {}
func (c *playedClient) NewMessageID(seed []byte) string                        { return "3EB0" + hex.EncodeToString(seed[:9]) }
func (c *playedClient) SetTyping(context.Context, network.Address, bool) error { return nil }

func (c *playedClient) MarkRead(context.Context, network.Address, []network.MessageID, time.Time) error {
	return nil
}
