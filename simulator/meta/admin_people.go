package meta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/binary"
)

const (
	maxInboxWait = time.Minute
	maxRepeat    = 10_000
)

// personInfo is a person as the control plane shows them.
type personInfo struct {
	JID         string   `json:"jid"` // the LID
	Phone       string   `json:"phone"`
	Name        string   `json:"name"`
	Country     string   `json:"country"`
	HidesNumber bool     `json:"hides_number"`
	Terms       bool     `json:"terms_accepted"`
	OptedIn     []int    `json:"opted_in"`
	Reachable   bool     `json:"reachable"`
	Blocked     []string `json:"blocked"`
	Heard       int      `json:"heard"`
}

func (a *admin) describe(p *Person) personInfo {
	heard := len(p.Heard())
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	info := personInfo{JID: p.LID(), Phone: p.Phone(), Name: p.Name(), Country: p.user.country, HidesNumber: p.user.hidesNumber,
		Terms: p.user.termsAccepted, OptedIn: []int{}, Reachable: !p.user.unreachable, Blocked: []string{}, Heard: heard}
	for _, id := range slices.Sorted(maps.Keys(p.user.optedIn)) {
		if p.user.optedIn[id] {
			info.OptedIn = append(info.OptedIn, id)
		}
	}
	for _, jid := range slices.Sorted(maps.Keys(p.user.blocked)) {
		if p.user.blocked[jid] {
			info.Blocked = append(info.Blocked, jid)
		}
	}
	return info
}

// person wraps a call about one person, named by LID address, number address or E.164 number.
func (a *admin) person(call func(*Person, *http.Request) (any, error)) adminCall {
	return func(r *http.Request) (any, error) {
		name := r.PathValue("jid")
		for _, p := range a.n.People() {
			if name == p.LID() || name == p.Phone() || name == jidText(p.user.pn) {
				return call(p, r)
			}
		}
		return nil, fmt.Errorf("person %s: %w", name, errNoRecord)
	}
}

// refused marks what the network, rather than the caller's spelling, is the reason of.
func refused(err error) error {
	if err == nil || errors.Is(err, errNeverHeard) {
		return err
	}
	return fmt.Errorf("%w: %w", errRefused, err)
}

// done shows the person after a change.
func (a *admin) done(p *Person, err error) (any, error) { return a.describe(p), refused(err) }

func (a *admin) addPerson(r *http.Request) (any, error) {
	var body struct {
		Phone        string `json:"phone"`
		Name         string `json:"name"`
		Country      string `json:"country"`
		HidesNumber  bool   `json:"hides_number"`
		AutoReceipts *bool  `json:"auto_receipts"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if !isPhone(body.Phone) {
		return nil, fmt.Errorf("phone %q is not E.164", body.Phone)
	}
	p := a.n.WhatsApp(body.Phone, orElse(body.Name, body.Phone))
	if body.Country != "" {
		p.SetRegion(body.Country)
	}
	if body.HidesNumber {
		p.HideNumber()
	}
	if body.AutoReceipts != nil {
		p.AutoReceipts(*body.AutoReceipts)
	}
	return a.describe(p), nil
}

// providerUser is an enlisted user with their connection and queue.
type providerUser struct {
	EnlistmentInfo
	Connected bool `json:"connected"`
	Waiting   int  `json:"waiting"`
	Unsettled int  `json:"unsettled"`
}

// users lists the people, and the providers' users with what waits for them.
func (a *admin) users(*http.Request) (any, error) {
	people, providers := []personInfo{}, []providerUser{}
	for _, p := range a.n.People() {
		people = append(people, a.describe(p))
	}
	slices.SortFunc(people, func(x, y personInfo) int { return cmp.Compare(x.Phone, y.Phone) })
	for _, e := range a.n.Enlistments() {
		user := providerUser{EnlistmentInfo: e}
		a.n.mu.Lock()
		if d := a.n.devices[e.JID]; d != nil {
			user.Connected, user.Waiting, user.Unsettled = d.conn != nil, len(d.waiting), len(d.flight)
		}
		a.n.mu.Unlock()
		providers = append(providers, user)
	}
	return map[string]any{"whatsapp": people, "interop": providers}, nil
}

func (a *admin) showPerson(p *Person, _ *http.Request) (any, error) { return a.describe(p), nil }

func (a *admin) terms(p *Person, _ *http.Request) (any, error) {
	for _, result := range []string{termsShown, termsAccepted} {
		trackable := binary.Node{Tag: "trackable", Attrs: binary.Attrs{"id": termsID, "result": result}}
		if _, err := p.request("set", "tos", trackable); err != nil {
			return nil, refused(err)
		}
	}
	return a.describe(p), nil
}

// integratorSet is the body of the calls about providers; for reachability, who may reach.
type integratorSet struct {
	Enabled     bool  `json:"enabled"`
	Integrators []int `json:"integrators"`
}

func (a *admin) optIn(p *Person, r *http.Request) (any, error) {
	var body integratorSet
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	return a.done(p, p.OptIn(body.Integrators...))
}

func (a *admin) optOut(p *Person, r *http.Request) (any, error) {
	var body integratorSet
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	return a.done(p, p.OptOut(body.Integrators...))
}

func (a *admin) reachability(p *Person, r *http.Request) (any, error) {
	var body integratorSet
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	return a.done(p, p.SetReachable(body.Enabled, body.Integrators...))
}

// addressee is the body of the calls that name a provider's user.
type addressee struct {
	JID string `json:"jid"`
}

func (a *admin) block(p *Person, r *http.Request) (any, error) {
	var body addressee
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	return a.done(p, p.Block(body.JID))
}

func (a *admin) unblock(p *Person, r *http.Request) (any, error) {
	var body addressee
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	return a.done(p, p.Unblock(body.JID))
}

func (a *admin) lookup(p *Person, r *http.Request) (any, error) {
	var body struct {
		Integrator int    `json:"integrator"`
		ExternalID string `json:"external_id"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	jid, err := p.Find(body.Integrator, body.ExternalID)
	return addressee{jid}, refused(err)
}

// send sends text, or with to_id an answer to a message that the person heard.
func (a *admin) send(p *Person, r *http.Request) (any, error) {
	body := struct {
		Kind   string `json:"kind"`
		To     string `json:"to"`
		ToID   string `json:"to_id"`
		Text   string `json:"text"`
		Repeat int    `json:"repeat"`
	}{Kind: "text", Repeat: 1}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if body.Repeat < 1 || body.Repeat > maxRepeat {
		return nil, fmt.Errorf("repeat: want 1 to %d", maxRepeat)
	}
	say := func() (string, error) { return p.Say(body.To, body.Text) }
	switch body.Kind {
	case "text":
	case "reply":
		heard := p.Heard()
		index := slices.IndexFunc(heard, func(h Heard) bool { return h.ID == body.ToID })
		if index < 0 {
			return nil, fmt.Errorf("message %s: %w", body.ToID, errNeverHeard)
		}
		say = func() (string, error) { return p.Reply(heard[index], body.Text) }
	default:
		return nil, fmt.Errorf("kind %q: want text or reply", body.Kind)
	}
	var ids []string
	for range body.Repeat {
		id, err := say()
		if err != nil {
			return nil, refused(err)
		}
		ids = append(ids, id)
	}
	return map[string]any{"id": ids[0], "ids": ids}, nil
}

func (a *admin) receipt(p *Person, r *http.Request) (any, error) {
	var body struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	switch body.Type {
	case "delivery":
		return body, refused(p.Deliver(body.ID))
	case "read":
		return body, refused(p.Read(body.ID))
	default:
		return nil, fmt.Errorf("type %q: want delivery or read", body.Type)
	}
}

func (a *admin) typing(p *Person, r *http.Request) (any, error) {
	var body struct {
		To    string `json:"to"`
		State string `json:"state"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if body.State != "composing" && body.State != "paused" {
		return nil, fmt.Errorf("state %q: want composing or paused", body.State)
	}
	return body, refused(p.Typing(body.To, body.State == "composing"))
}

func (a *admin) region(p *Person, r *http.Request) (any, error) {
	var body struct {
		Country string `json:"country"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if len(body.Country) != 2 || strings.ToUpper(body.Country) != body.Country {
		return nil, fmt.Errorf("country %q is not ISO 3166-1 alpha-2", body.Country)
	}
	p.SetRegion(body.Country)
	return a.describe(p), nil
}

func (a *admin) identity(p *Person, _ *http.Request) (any, error) {
	p.NewIdentity()
	return a.describe(p), nil
}

// heardInfo is a message in a person's inbox.
type heardInfo struct {
	From        string    `json:"from"`
	DisplayName string    `json:"display_name"`
	ID          string    `json:"id"`
	Kind        string    `json:"kind"`
	Text        string    `json:"text,omitempty"`
	ReplyTo     string    `json:"reply_to,omitempty"`
	ReplyFrom   string    `json:"reply_from,omitempty"`
	ReplyText   string    `json:"reply_text,omitempty"`
	ReactionTo  string    `json:"reaction_to,omitempty"`
	Time        time.Time `json:"time"`
}

// inbox shows what the phone decrypted after the first ?since= messages. It waits up to
// ?wait_ms= for there to be something.
func (a *admin) inbox(p *Person, r *http.Request) (any, error) {
	query := r.URL.Query()
	since, err := strconv.Atoi(orElse(query.Get("since"), "0"))
	if err != nil || since < 0 {
		return nil, errors.New("since is not a count of messages")
	}
	wait, err := strconv.Atoi(orElse(query.Get("wait_ms"), "0"))
	if err != nil || wait < 0 {
		return nil, errors.New("wait_ms is not a time in milliseconds")
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(wait)*time.Millisecond, maxInboxWait))
	defer cancel()
	_ = p.wait(ctx, func() bool { return len(p.heard) > since }) // what is there is shown in any case
	messages := []heardInfo{}
	for _, h := range p.Heard()[min(since, len(p.Heard())):] {
		messages = append(messages, heardInfo{From: h.From, DisplayName: h.DisplayName, ID: h.ID, Kind: h.Kind, Text: h.Text,
			ReplyTo: h.ReplyTo, ReplyFrom: h.ReplyFrom, ReplyText: h.ReplyText, ReactionTo: h.ReactionTo, Time: h.Time})
	}
	receipts := []map[string]any{}
	for _, receipt := range p.Receipts() {
		receipts = append(receipts, map[string]any{"id": receipt.ID, "from": receipt.From, "type": receipt.Type, "time": receipt.Time})
	}
	return map[string]any{"messages": messages, "receipts": receipts, "next": since + len(messages)}, nil
}
