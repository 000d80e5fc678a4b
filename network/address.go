package network

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind tells what the user part of an [Address] counts.
type Kind string

// The kinds of address. A WhatsApp person is canonical by LID; the phone number
// is an alias that stands alone only until the LID is known.
const (
	// KindLID is WhatsApp's opaque, stable number of a person.
	KindLID Kind = "lid"
	// KindPhone is an E.164 phone number without the plus sign.
	KindPhone Kind = "pn"
	// KindAccount is a Messenger account number.
	KindAccount Kind = "account"
	// KindInterop is an account of a third-party provider: ours, or another's.
	KindInterop Kind = "interop"
	// KindGroup is a conversation of several people, not a person.
	KindGroup Kind = "group"
)

const (
	maxIntegrator    = 999
	maxInteropDigits = 15
	maxDigits        = 20
)

// Address is an account, or a group, as its network spells it. It is the one identity type of
// the program: comparable, and injective in its text form, integrator included.
type Address struct {
	Network Network
	Kind    Kind
	// Integrator is the number of the provider, 1 to 999; zero unless Kind is KindInterop.
	Integrator uint16
	// User is the account's digits, without sign or leading zero. Of a group that was made before groups had
	// numbers of their own it is its maker's phone number, a hyphen, and the second of its making.
	User string
}

// LID is the address of a WhatsApp person by their hidden number.
func LID(digits string) Address {
	return Address{Network: WhatsApp, Kind: KindLID, User: digits}
}

// Phone is the address of a WhatsApp person by phone number; a leading plus sign is dropped.
func Phone(number string) Address {
	return Address{Network: WhatsApp, Kind: KindPhone, User: strings.TrimPrefix(number, "+")}
}

// Account is the address of a Messenger person.
func Account(fbid string) Address {
	return Address{Network: Messenger, Kind: KindAccount, User: fbid}
}

// Interop is the address of a provider's user on a network.
func Interop(n Network, integrator uint16, account string) Address {
	return Address{Network: n, Kind: KindInterop, Integrator: integrator, User: account}
}

// GroupAddress is the address of a WhatsApp group by its number: "120363000000000001", or "4915110000001-1414141414" of old ones.
func GroupAddress(number string) Address {
	return Address{Network: WhatsApp, Kind: KindGroup, User: number}
}

// IsGroup says whether the address is a conversation of several people.
func (a Address) IsGroup() bool { return a.Kind == KindGroup }

// IsZero says whether the address names nobody.
func (a Address) IsZero() bool { return a == Address{} }

// String is the address as it is stored and as it stands in a Matrix localpart:
// "whatsapp-lid-90000000000001", "whatsapp-pn-4915110000001", "messenger-100001",
// "whatsapp-interop-12-105012705411308", "whatsapp-group-120363000000000001". [ParseAddress] is its inverse.
func (a Address) String() string {
	switch {
	case a.IsZero():
		return ""
	case a.Kind == KindInterop:
		return fmt.Sprintf("%s-interop-%d-%s", a.Network, a.Integrator, a.User)
	case a.Kind == KindAccount:
		return fmt.Sprintf("%s-%s", a.Network, a.User)
	default:
		return fmt.Sprintf("%s-%s-%s", a.Network, a.Kind, a.User)
	}
}

// ParseAddress reads the text form that [Address.String] writes, and nothing else.
func ParseAddress(text string) (Address, error) {
	network, rest, _ := strings.Cut(text, "-")
	a := Address{Network: Network(network)}
	parts := strings.Split(rest, "-")
	switch {
	case len(parts) == 1:
		a.Kind, a.User = KindAccount, parts[0]
	case len(parts) == 3 && parts[0] == string(KindGroup):
		a.Kind, a.User = KindGroup, parts[1]+"-"+parts[2]
	case len(parts) == 2:
		a.Kind, a.User = Kind(parts[0]), parts[1]
	case len(parts) == 3 && parts[0] == string(KindInterop):
		number, err := strconv.ParseUint(parts[1], 10, 16)
		if err != nil {
			return Address{}, fmt.Errorf("address %q: bad integrator: %w", text, err)
		}
		a.Kind, a.Integrator, a.User = KindInterop, uint16(number), parts[2]
	default:
		return Address{}, fmt.Errorf("address %q: not of a known form", text)
	}
	if err := a.Validate(); err != nil {
		return Address{}, err
	}
	if a.String() != text {
		return Address{}, fmt.Errorf("address %q: not in canonical form", text)
	}
	return a, nil
}

// Validate says what is wrong with an address: an unknown network, a kind that the
// network does not have, an integrator or digits out of range (docs/protocol.md#identifiers).
func (a Address) Validate() error {
	if !a.Network.Known() {
		return fmt.Errorf("address %q: unknown network", a)
	}
	limit := maxDigits
	user := a.User
	switch a.Kind {
	case KindLID, KindPhone, KindGroup:
		if a.Network != WhatsApp {
			return fmt.Errorf("address %q: %s has no such kind", a, a.Network)
		}
	case KindAccount:
		if a.Network != Messenger {
			return fmt.Errorf("address %q: %s has no such kind", a, a.Network)
		}
	case KindInterop:
		if a.Integrator < 1 || a.Integrator > maxIntegrator {
			return fmt.Errorf("address %q: integrator must be 1 to %d", a, maxIntegrator)
		}
		limit = maxInteropDigits
	default:
		return fmt.Errorf("address %q: unknown kind", a)
	}
	if a.Kind != KindInterop && a.Integrator != 0 {
		return fmt.Errorf("address %q: only interop addresses have an integrator", a)
	}
	if maker, made, old := strings.Cut(a.User, "-"); old && a.Kind == KindGroup && isAccountNumber(made, limit) {
		user = maker
	}
	if !isAccountNumber(user, limit) {
		return fmt.Errorf("address %q: want 1 to %d digits without a leading zero", a, limit)
	}
	return nil
}

func isAccountNumber(digits string, limit int) bool {
	if len(digits) == 0 || len(digits) > limit || digits[0] == '0' {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
