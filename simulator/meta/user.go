package meta

import (
	"fmt"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"
)

// user is what the server knows of one person. The model's lock guards it.
type user struct {
	// product is where the person is; lid is the address there, on Messenger the account number.
	product     string
	pn, lid     types.JID
	username    string // on Messenger, in lower case
	name        string
	country     string
	hidesNumber bool
	oneName     bool // what they send tells one of their two numbers only
	sharesName  bool
	keys        publicKeys
	phone       *Person

	termsShown, termsAccepted bool
	optedIn                   map[int]bool
	everOptedIn               map[int]bool
	unreachable               bool
	reachableBy               map[int]bool // empty means everyone
	blocked                   map[string]bool
	pinged                    map[string]time.Time // by text address of who looked for the user
	asked                     map[string]int       // retries that were asked of the phone, and those that a device of the user's asked for

	chatAccount
}

// chatAccount is what the server knows of a user of chats within WhatsApp.
type chatAccount struct {
	companions    companions
	lastDevice    uint16
	state         *accountState
	keyIndexes    []byte // the phone's signed list of its devices
	keyIndexesSet time.Time
	privacy       map[string]string
	pushName      string // since it was changed, empty before
	about         string
	aboutSet      time.Time
	picture       *picture
	present       bool
	lastSeen      time.Time
	watchers      map[*device]types.JID // who wants to know of the presence, and under which address
}

// WhatsApp is the person with a phone number, who is made on first use: in the region, with
// third-party chats available and not yet turned on.
func (n *Network) WhatsApp(phone, name string) *Person {
	digits := strings.TrimPrefix(phone, "+")
	if !isAccount(digits) {
		panic(fmt.Sprintf("phone number %q: want E.164", phone))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.usersByPhone[digits]; u != nil {
		return u.phone
	}
	u := newUser(productWhatsApp, name)
	u.pn, u.lid = types.NewJID(digits, types.DefaultUserServer), n.newLID(digits)
	n.usersByPhone[digits], n.usersByLID[u.lid.User] = u, u
	return n.settleIn(u)
}

func newUser(product, name string) *user {
	return &user{
		product: product, name: name, country: "DE",
		optedIn: map[int]bool{}, everOptedIn: map[int]bool{}, reachableBy: map[int]bool{}, blocked: map[string]bool{},
		pinged: map[string]time.Time{}, asked: map[string]int{},
		chatAccount: newChatAccount(),
	}
}

func newChatAccount() chatAccount {
	account := chatAccount{companions: companions{}, state: newAccountState(), privacy: map[string]string{}, about: "Hey there! I am using WhatsApp."}
	for _, name := range privacyCategories() {
		account.privacy[name] = "all"
	}
	return account
}

// settleIn gives a user who has an address a phone that lives. The model must be locked.
func (n *Network) settleIn(u *user) *Person {
	u.phone = newPerson(n, u)
	u.keys = u.phone.publicKeys()
	n.work.Go(u.phone.live)
	return u.phone
}

// number is what the person's keys and ids are drawn by; no two people have the same.
func (u *user) number() string {
	if u.product == productMessenger {
		return jidText(u.lid)
	}
	return u.pn.User
}

// newLID draws a hidden number that follows from the seed and the phone number.
func (n *Network) newLID(digits string) types.JID {
	for try := 0; ; try++ {
		number := 100_000_000_000_000 + int64(n.roll("lid", fmt.Sprintf("%s/%d", digits, try))*899_999_999_999_999)
		lid := fmt.Sprint(number)
		if n.usersByLID[lid] == nil && !n.accountInUse(lid) {
			return types.NewJID(lid, types.HiddenUserServer)
		}
	}
}

func (n *Network) accountInUse(digits string) bool {
	for _, e := range n.enlistments {
		if e.Account == digits {
			return true
		}
	}
	return false
}

// numberInUse tells whether a phone or hidden number is somebody's. The model must be locked.
func (n *Network) numberInUse(digits string) bool {
	return n.usersByPhone[digits] != nil || n.usersByLID[digits] != nil
}

// eligible tells whether third-party chats exist for the user at all.
func (u *user) eligible() bool { return inEEA(u.country) }

// accepts tells whether the user takes messages from a provider's users.
func (u *user) accepts(integrator int) bool { return u.eligible() && u.optedIn[integrator] }

// People lists everybody who was made with [Network.WhatsApp] or [Network.Messenger].
func (n *Network) People() []*Person {
	n.mu.Lock()
	defer n.mu.Unlock()
	people := make([]*Person, 0, len(n.usersByPhone)+len(n.usersByFBID))
	for _, users := range []map[string]*user{n.usersByPhone, n.usersByFBID} {
		for _, u := range users {
			people = append(people, u.phone)
		}
	}
	return people
}
