package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/util/exstrings"
	"golang.org/x/net/netutil"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/failpoint"
)

// The limits of the appservice listener (docs/protocol.md has none: these are ours).
const (
	maxConnections     = 64
	maxHeader          = 16 << 10
	maxTransaction     = 16 << 20
	maxPing            = 4 << 10
	maxAppserviceOther = 64 << 10
	// maxElement is the size of one event; Matrix allows 64 KiB, and some homeservers escape much of it by six bytes for one.
	maxElement = 512 << 10

	headerTime = 5 * time.Second
	readTime   = 30 * time.Second
	writeTime  = 60 * time.Second
	idleTime   = 2 * time.Minute
)

// noEvent begins the names of rows that hold no event.
const noEvent = "hash:"

const transactionPath = "/_matrix/app/v1/transactions/"

// front answers the homeserver. It stores the events of a transaction before it says 200, and never
// refuses a transaction for what is in it, as the homeserver would send the same one for ever. All
// other requests go to the connector's own router.
type front struct {
	d       *Delivery
	hsToken string
	router  http.Handler
	// ours says whether a user is one that the bridge speaks as.
	ours func(id.UserID) bool
	// concern tells which rooms are the bridge's; nil if the homeserver pushes no others.
	concern *concern
	server  *http.Server
	// ready: transactions may be stored. Until then, and from the beginning of the end, they are put off with 503.
	ready atomic.Bool
}

func newFront(d *Delivery, hsToken string, router http.Handler, ours func(id.UserID) bool) *front {
	f := &front{d: d, hsToken: hsToken, router: router, ours: ours}
	f.server = &http.Server{
		Handler: f, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
	}
	return f
}

// listen opens the listener and serves it until stop.
func (f *front) listen(host appservice.HostConfig) error {
	listener, err := openListener(host)
	if err != nil {
		return fmt.Errorf("failed to listen for the homeserver: %w", err)
	}
	go func() {
		if err := f.server.Serve(netutil.LimitListener(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			f.d.options.Exit(fmt.Errorf("failed to serve the homeserver: %w", err))
		}
	}()
	return nil
}

func openListener(host appservice.HostConfig) (net.Listener, error) {
	if !host.IsUnixSocket() {
		return net.Listen("tcp", host.Address())
	}
	// a socket that a killed process has left would be in the way; the lock says that nobody uses it
	if err := os.Remove(host.Hostname); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", host.Hostname)
	if err != nil {
		return nil, err
	}
	return listener, os.Chmod(host.Hostname, 0o660)
}

// stop lets requests under way end, at the latest when ctx is over.
func (f *front) stop(ctx context.Context) {
	f.ready.Store(false)
	if err := f.server.Shutdown(ctx); err != nil {
		f.d.log.Warn().Err(err).Msg("Requests of the homeserver did not end in time")
	}
}

// ServeHTTP answers one request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	transaction, isTransaction := strings.CutPrefix(r.URL.Path, transactionPath)
	switch {
	case isTransaction && r.Method == http.MethodPut && journaled:
		r.Body = http.MaxBytesReader(w, r.Body, maxTransaction)
		f.transaction(w, r, transaction)
		return
	case strings.HasSuffix(r.URL.Path, "/ping"):
		r.Body = http.MaxBytesReader(w, r.Body, maxPing)
	case strings.HasPrefix(r.URL.Path, "/_matrix/app/"):
		r.Body = http.MaxBytesReader(w, r.Body, maxAppserviceOther)
	}
	f.router.ServeHTTP(w, r)
}

// transaction stores what a PUT holds. Its id is only logged: a homeserver may count anew, or send
// an event again under another id, and events have ids of their own.
func (f *front) transaction(w http.ResponseWriter, r *http.Request, transaction string) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !found:
		mautrix.MMissingToken.WithMessage("Missing access token").Write(w)
		return
	case !exstrings.ConstantTimeEqual(token, f.hsToken):
		mautrix.MUnknownToken.WithMessage("Invalid access token").WithStatus(http.StatusForbidden).Write(w)
		return
	case !f.ready.Load() || f.d.matrix.full() || f.d.disk.low.Load():
		w.Header().Set("Retry-After", "5")
		mautrix.MUnknown.WithMessage("Not ready").WithStatus(http.StatusServiceUnavailable).Write(w)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeReadError(w, err)
		return
	}
	var txn transactionBody
	if err = json.Unmarshal(body, &txn); err != nil {
		mautrix.MNotJSON.WithMessage("The transaction is no JSON object").Write(w)
		return
	}
	// not the request's context: what has arrived is stored even if the homeserver hangs up
	ctx, cancel := context.WithTimeout(f.d.log.WithContext(context.Background()), readTime)
	defer cancel()
	f.noteSigns(txn)
	if err = f.d.matrix.take(ctx, f.read(ctx, txn)); err != nil {
		f.d.log.Err(err).Str("transaction_id", transaction).Msg("Failed to store a transaction")
		mautrix.MUnknown.WithMessage("Failed to store the transaction").WithStatus(http.StatusInternalServerError).Write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}"))
	_ = failpoint.Hit(failpoint.FrontAnswered)
}

func writeReadError(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		mautrix.MTooLarge.WithMessage("The transaction is too large").Write(w)
		return
	}
	mautrix.MNotJSON.WithMessage("Failed to read the transaction").Write(w)
}

// transactionBody is a transaction with its elements unread, under the stable names and those that were used before.
type transactionBody struct {
	Events       []json.RawMessage `json:"events"`
	Ephemeral    []json.RawMessage `json:"ephemeral"`
	OldEphemeral []json.RawMessage `json:"de.sorunome.msc2409.ephemeral"`
	ToDevice     []json.RawMessage `json:"to_device"`
	OldToDevice  []json.RawMessage `json:"de.sorunome.msc2409.to_device"`

	DeviceLists    *mautrix.DeviceLists `json:"device_lists"`
	OldDeviceLists *mautrix.DeviceLists `json:"org.matrix.msc3202.device_lists"`

	KeyCounts    map[id.UserID]map[id.DeviceID]json.RawMessage `json:"device_one_time_keys_count"`
	OldKeyCounts map[id.UserID]map[id.DeviceID]json.RawMessage `json:"org.matrix.msc3202.device_one_time_keys_count"`
}

// read prepares a transaction for the journal. An element that is no event becomes a row without
// a room, under its hash, and is set aside there.
func (f *front) read(ctx context.Context, txn transactionBody) push {
	now := f.d.now()
	var p push
	for _, raw := range txn.Events {
		if row, isNews := f.row(ctx, raw, now); isNews {
			p.rows = append(p.rows, row)
		}
	}
	for _, raw := range append(txn.ToDevice, txn.OldToDevice...) {
		hash := hashOf(raw)
		p.toDevice = append(p.toDevice, database.ToDeviceRow{
			Hash: hash, Seq: f.d.seq.Add(1), Raw: f.d.secret.lock(raw, toDeviceSeal(hash)...), ReceivedAt: now.UnixMilli(),
		})
	}
	for _, raw := range append(txn.Ephemeral, txn.OldEphemeral...) {
		evt := &event.Event{}
		if json.Unmarshal(raw, evt) == nil {
			if f.concern != nil && !f.concern.is(ctx, evt.RoomID) {
				continue
			}
			evt.Type.Class = event.EphemeralEventType
			evt.Mautrix.EventSource, evt.Mautrix.ReceivedAt = event.SourceEphemeral, now
			p.ephemeral = append(p.ephemeral, evt)
		}
	}
	for _, counts := range []map[id.UserID]map[id.DeviceID]json.RawMessage{txn.OldKeyCounts, txn.KeyCounts} {
		for user, devices := range counts {
			for device, value := range devices {
				p.latest = append(p.latest, database.LatestRow{
					Kind: latestKeyCounts, Item: string(user) + "|" + string(device), Value: value, UpdatedAt: now.UnixMilli(),
				})
			}
		}
	}
	for _, lists := range []*mautrix.DeviceLists{txn.OldDeviceLists, txn.DeviceLists} {
		if lists == nil || lists.IsZero() {
			continue
		}
		value, err := json.Marshal(lists)
		if err == nil {
			// each list counts: it names who has changed since the last one
			item := strconv.FormatInt(f.d.seq.Add(1), 10)
			p.latest = append(p.latest, database.LatestRow{Kind: latestDeviceLists, Item: item, Value: value, UpdatedAt: now.UnixMilli()})
		}
	}
	return p
}

// concerns says whether an event is the bridge's business. Of others nothing is kept.
func (f *front) concerns(ctx context.Context, room id.RoomID, sender id.UserID, stateKey *string) bool {
	if f.concern == nil {
		return true
	}
	if f.ours(sender) || stateKey != nil && f.ours(id.UserID(*stateKey)) {
		f.concern.ours(room)
		return true
	}
	return f.concern.is(ctx, room)
}

// row spells one element of a transaction as a row. isNews is false for an event that is none of the bridge's business, and for
// one that we have sent ourselves: nobody handles those, and half of what a homeserver pushes are such. Only state counts
// whoever sent it.
func (f *front) row(ctx context.Context, raw json.RawMessage, now time.Time) (row database.MatrixRow, isNews bool) {
	var head struct {
		ID       string    `json:"event_id"`
		Room     string    `json:"room_id"`
		Sender   id.UserID `json:"sender"`
		StateKey *string   `json:"state_key"`
	}
	row = database.MatrixRow{Seq: f.d.seq.Add(1), ReceivedAt: now.UnixMilli(), Epoch: f.d.instance.Epoch}
	if len(raw) > maxElement || json.Unmarshal(raw, &head) != nil || head.ID == "" {
		zerolog.Ctx(ctx).Warn().Int("size", len(raw)).Msg("The homeserver pushed something that is no event")
		// the lane sets it aside for an operator
		raw, head.ID, head.Room = raw[:min(len(raw), maxElement)], noEvent+hashOf(raw), ""
	} else if !f.concerns(ctx, id.RoomID(head.Room), head.Sender, head.StateKey) || head.StateKey == nil && f.ours(head.Sender) {
		return row, false
	}
	row.EventID, row.Room = head.ID, head.Room
	if f.d.fleetingRoom(ctx, id.RoomID(row.Room)) {
		row.Raw = f.d.secret.lockFleeting(raw, matrixSeal(row.EventID)...)
	} else {
		row.Raw = f.d.secret.lock(raw, matrixSeal(row.EventID)...)
	}
	return row, true
}
