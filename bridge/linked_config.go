package bridge

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"maunium.net/go/mautrix/event"

	"causeway/interop"
)

// LinkedConfig is about users' own accounts, of which the bridge is a linked device.
type LinkedConfig struct {
	Enabled bool `yaml:"enabled"`
	// DeviceName stands in the phone's list of linked devices.
	DeviceName string   `yaml:"device_name"`
	Polls      Polls    `yaml:"polls"`
	ViewOnce   ViewOnce `yaml:"view_once"`
	// ContactNames says who sees what the users' address books call people.
	ContactNames ContactNames  `yaml:"contact_names"`
	History      HistoryConfig `yaml:"history"`
	Tags         TagsConfig    `yaml:"tags"`
	// Online shows accounts as online while they are connected.
	Online bool `yaml:"online"`
	// PhoneOfflineWarning is how long a phone may be out of sight before its user is warned; zero never warns.
	PhoneOfflineWarning interop.Duration `yaml:"phone_offline_warning"`
}

// HistoryConfig is about the messages that the phone sends along when it links.
type HistoryConfig struct {
	Enabled bool `yaml:"enabled"`
	// MaxChats and MaxMessages bound what is taken: chats for each login, messages for each chat. Negative is all.
	MaxChats    int `yaml:"max_chats"`
	MaxMessages int `yaml:"max_messages"`
}

// TagsConfig names the room tags for what people do with their chats.
type TagsConfig struct {
	Pinned   event.RoomTag `yaml:"pinned"`
	Archived event.RoomTag `yaml:"archived"`
}

// Polls is how polls are shown in rooms.
type Polls string

// The ways to show polls.
const (
	// PollsNative shows them as such (MSC3381).
	PollsNative Polls = "native"
	// PollsText writes them out with numbered options.
	PollsText Polls = "text"
)

// ViewOnce says what becomes of media that is meant to be seen once.
type ViewOnce string

// What can become of it.
const (
	// ViewOnceBridge shows it, with a word about it.
	ViewOnceBridge ViewOnce = "bridge"
	// ViewOncePlaceholder leaves it on the phone.
	ViewOncePlaceholder ViewOnce = "placeholder"
)

// ContactNames says who sees what a user's address book calls people.
type ContactNames string

// Who can see them.
const (
	// NamesPerLogin names the users' own rooms by them, which nobody else sees.
	NamesPerLogin ContactNames = "per_login"
	// NamesPublic names the people by them, for all users of the bridge.
	NamesPublic ContactNames = "public"
	NamesOff    ContactNames = "off"
)

const (
	// maxDeviceName is how many characters the phone shows of a device's name.
	maxDeviceName = 50
	// phoneLimit is after how long without the phone WhatsApp logs its linked devices out.
	phoneLimit = 14 * 24 * time.Hour
)

func (c *LinkedConfig) validate() error {
	var errs []error
	if length := utf8.RuneCountInString(c.DeviceName); length == 0 || length > maxDeviceName {
		errs = append(errs, fmt.Errorf("network.linked.device_name: write 1 to %d characters", maxDeviceName))
	}
	if c.Polls != PollsNative && c.Polls != PollsText {
		errs = append(errs, fmt.Errorf("network.linked.polls: %q is unknown; use native or text", c.Polls))
	}
	if c.ViewOnce != ViewOnceBridge && c.ViewOnce != ViewOncePlaceholder {
		errs = append(errs, fmt.Errorf("network.linked.view_once: %q is unknown; use bridge or placeholder", c.ViewOnce))
	}
	switch c.ContactNames {
	case NamesPerLogin, NamesPublic, NamesOff:
	default:
		errs = append(errs, fmt.Errorf("network.linked.contact_names: %q is unknown; use per_login, public or off", c.ContactNames))
	}
	if warning := time.Duration(c.PhoneOfflineWarning); warning < 0 || warning >= phoneLimit {
		errs = append(errs, fmt.Errorf("network.linked.phone_offline_warning: must be below 14d, after which WhatsApp ends the login"))
	}
	return errors.Join(errs...)
}
