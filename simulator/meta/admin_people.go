package meta

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/binary"
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

// person wraps a call about one person, named by LID address, number address or E.164 number; on Messenger by account number.
func (a *admin) person(call func(*Person, *http.Request) (any, error)) adminCall {
	return func(r *http.Request) (any, error) {
		name := r.PathValue("jid")
		for _, p := range a.n.People() {
			if name == p.LID() || name == p.Phone() || name == jidText(p.user.pn) || name == p.FBID() {
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

// addToMessenger is the same for Messenger, whose people have an account number and perhaps a username.
func (a *admin) addToMessenger(r *http.Request) (any, error) {
	var body struct {
		FBID     string `json:"fbid"`
		Name     string `json:"name"`
		Username string `json:"username"`
		Country  string `json:"country"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if !isAccount(body.FBID) {
		return nil, fmt.Errorf("fbid %q: want 1 to %d digits", body.FBID, maxAccountDigits)
	}
	p := a.n.Messenger(body.FBID, orElse(body.Name, body.FBID))
	if body.Username != "" {
		p.SetUsername(body.Username)
	}
	if body.Country != "" {
		p.SetRegion(body.Country)
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
		if d := a.n.devices[e.Product+"/"+e.JID]; d != nil {
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
