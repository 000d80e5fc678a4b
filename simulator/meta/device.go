package meta

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// device is what speaks over a connection: the one device of an interop user, or a linked device of a WhatsApp
// user. It has keys, a connection and a queue of what waits for it.
// The model's lock guards it.
type device struct {
	jid        types.JID
	product    string      // never changes, and may be read without the lock
	enlistment *enlistment // of an interop user, nil for a linked device
	companion  *companion  // of a linked device, nil for an interop user
	keys       publicKeys
	uploaded   bool // keys came over the chat connection at least once

	conn         *connection
	active       bool // the client asked for its stanzas
	readReceipts bool // the user lets read receipts through, in both directions

	waiting  []*queued          // not sent on this connection, in order
	flight   map[string]*queued // sent and not finished
	lastSeq  int
	held     *binary.Node // a message kept back until the next one has passed
	draining bool         // the offline stanzas are going out
	drained  int          // how many of them went out

	taken    map[string]stamp     // messages of this device that were taken, by recipient and id
	retries  map[string]int       // retries that phones asked for, by phone and id; one request may reach the client twice
	refused  map[string]time.Time // recipients that answered 403, and when the client was told
	partners map[string]bool      // people that it has exchanged messages with, by LID
	rate     rateLimit
	lookups  rateLimit
}

// deviceName keeps equal account numbers on both products apart.
func (e *enlistment) deviceName() string { return e.Product + "/" + jidText(e.jid()) }

// deviceOf is the device of an enlistment, made when first asked for. The model must be locked.
func (n *Network) deviceOf(e *enlistment) *device {
	name := e.deviceName()
	d := n.devices[name]
	if d == nil {
		d = &device{jid: e.jid(), product: e.Product, flight: map[string]*queued{}, taken: map[string]stamp{}, retries: map[string]int{},
			refused: map[string]time.Time{}, partners: map[string]bool{}}
		n.devices[name] = d
	}
	d.enlistment = e
	if d.keys.identity != e.IdentityKey || d.keys.registration != e.RegistrationID {
		d.keys, d.uploaded = publicKeys{registration: e.RegistrationID, identity: e.IdentityKey}, false
	}
	d.keys.signed = signedKey{e.SignedPrekeyID, e.SignedPrekey, e.SignedPrekeySignature}
	return d
}

// queued is a stanza on its way to a device. A stanza leaves the queue when the client has finished with it.
type queued struct {
	node           binary.Node
	key            string
	seq            int
	offline        bool // it waited while the client was away
	acked, retried bool
}

func queueKey(class, id, other, kind string) string {
	if class == "message" {
		kind = ""
	}
	return class + "/" + id + "/" + other + "/" + kind
}

// enqueue puts a stanza in the queue and sends what may be sent. The model must be locked.
func (n *Network) enqueue(d *device, node binary.Node) {
	d.lastSeq++
	kind, _ := node.Attrs["type"].(string)
	q := &queued{node: node, seq: d.lastSeq, offline: !d.active,
		key: queueKey(node.Tag, textOf(node.Attrs["id"]), otherSide(node.Attrs, "from"), kind)}
	place := len(d.waiting)
	if place > 0 && node.Tag == "receipt" && n.Profile() != Calm && n.roll("overtake", q.key) < 0.05 {
		place--
	}
	d.waiting = slices.Insert(d.waiting, place, q)
	n.pump(d)
	n.considerPush(d)
}

// pump sends waiting stanzas, never more at once than clients keep in order. The model must be locked.
func (n *Network) pump(d *device) {
	if !d.active || d.conn == nil {
		return
	}
	flood := len(d.waiting) > 0 && n.strikes(FaultFlood, about("", "", d.text())) != nil
	for burst := 0; len(d.waiting) > 0; burst++ {
		if burst == n.cfg.burstLength && !flood {
			c := d.conn
			time.AfterFunc(5*time.Millisecond, func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				if d.conn == c {
					n.pump(d)
				}
			})
			return
		}
		if d.unacknowledged() >= n.cfg.maxUnacknowledged && !flood {
			return
		}
		n.transmit(d, d.waiting[0])
		d.waiting = d.waiting[1:]
		n.finishDrain(d)
	}
	n.finishDrain(d)
}

func (d *device) unacknowledged() int {
	count := 0
	for _, q := range d.flight {
		if !q.acked {
			count++
		}
	}
	return count
}

func (n *Network) transmit(d *device, q *queued) {
	node := q.node
	if q.offline {
		d.drained++
		node.Attrs = maps.Clone(node.Attrs)
		node.Attrs["offline"] = strconv.Itoa(d.drained)
	}
	d.flight[q.key] = q
	d.conn.send(n.disguise(node))
	from := textOf(node.Attrs["from"])
	if node.Tag == "message" && (n.strikes(FaultDuplicate, about("message", "", jidText(d.jid), from)) != nil ||
		n.misfortune("duplicate", q.key, 0.01)) {
		d.conn.send(n.disguise(node))
	}
}

// activate starts the flow of stanzas: first what waited, between its announcement and its end. The model must be locked.
func (n *Network) activate(d *device) {
	if d.active {
		return
	}
	d.active, d.draining, d.drained = true, true, 0
	counts := map[string]int{}
	for _, q := range d.waiting {
		q.offline = true
		counts[q.node.Tag]++
	}
	d.conn.send(binary.Node{Tag: "ib", Attrs: binary.Attrs{"from": types.ServerJID}, Content: []binary.Node{{
		Tag: "offline_preview", Attrs: binary.Attrs{"count": len(d.waiting), "message": counts["message"],
			"receipt": counts["receipt"], "notification": counts["notification"], "appdata": 0},
	}}})
	n.pump(d)
}

func (n *Network) finishDrain(d *device) {
	if !d.draining || (len(d.waiting) > 0 && d.waiting[0].offline) {
		return
	}
	d.draining = false
	d.conn.send(binary.Node{Tag: "ib", Attrs: binary.Attrs{"from": types.ServerJID}, Content: []binary.Node{{
		Tag: "offline", Attrs: binary.Attrs{"count": d.drained},
	}}})
}

// rewind puts what was sent and not finished back in front of the queue, in its old order.
func (d *device) rewind() {
	again := slices.SortedFunc(maps.Values(d.flight), func(a, b *queued) int { return a.seq - b.seq })
	for _, q := range again {
		q.acked, q.retried = false, false
	}
	d.waiting = append(again, d.waiting...)
	for _, q := range d.waiting {
		q.offline = true
	}
	clear(d.flight)
	d.draining = false
}

// settle notes what the client said of a queued stanza, and forgets the stanza when the client is done with it.
func (n *Network) settle(d *device, key string, change func(*queued) (done bool)) {
	q := d.flight[key]
	if q == nil {
		return
	}
	if change(q) {
		delete(d.flight, key)
	}
	n.pump(d)
}

// stamp is a moment as the server writes it on stanzas.
type stamp time.Time

func (s stamp) seconds() string { return strconv.FormatInt(time.Time(s).Unix(), 10) }
func (s stamp) micros() string  { return strconv.FormatInt(time.Time(s).UnixMicro(), 10) }

// stamp is the present, with the jitter that the profile has for a thing.
func (n *Network) stamp(about string) stamp {
	at := n.now()
	if n.Profile() == Faults {
		at = at.Add(time.Duration((n.roll("t", about) - 0.5) * float64(4*time.Second)))
	}
	return stamp(at)
}

// rateLimit counts events of the last minute and day.
type rateLimit struct{ at []time.Time }

// allow takes one more event unless there are as many already; zero is no limit.
func (r *rateLimit) allow(now time.Time, count, perMinute, perDay int) bool {
	r.at = slices.DeleteFunc(r.at, func(t time.Time) bool { return now.Sub(t) > 24*time.Hour })
	minute := 0
	for _, t := range r.at {
		if now.Sub(t) < time.Minute {
			minute++
		}
	}
	if (perMinute > 0 && minute+count > perMinute) || (perDay > 0 && len(r.at)+count > perDay) {
		return false
	}
	for range count {
		r.at = append(r.at, now)
	}
	return true
}
