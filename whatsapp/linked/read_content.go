package linked

import (
	"math"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"

	"causeway/network"
	"causeway/wire"
)

const (
	// mostOptions and mostCards bound what a stranger can put into one message.
	mostOptions = 64
	mostCards   = 256
	// largestCard is how many bytes of a vCard are taken: some carry a picture.
	largestCard = 256 << 10
)

// readText reads a text, with its preview where it describes a link.
func readText(m *waE2E.ExtendedTextMessage) network.Text {
	text := network.Text{Body: wire.Clean(m.GetText())}
	matched := wire.Clean(m.GetMatchedText())
	if matched == "" || m.GetTitle() == "" && m.GetDescription() == "" {
		return text
	}
	text.Preview = &network.LinkPreview{
		URL: matched, Matched: matched, Title: wire.Clean(m.GetTitle()), Description: wire.Clean(m.GetDescription()),
		Thumbnail: smallPicture(m.GetJPEGThumbnail()),
	}
	return text
}

// smallPicture is a thumbnail; one that is too large is left out.
func smallPicture(jpeg []byte) []byte {
	if len(jpeg) == 0 || len(jpeg) > wire.LargestThumbnail {
		return nil
	}
	return jpeg
}

func readLocation(m *waE2E.LocationMessage) network.Content {
	return place(network.Location{
		Latitude: m.GetDegreesLatitude(), Longitude: m.GetDegreesLongitude(), Accuracy: metres(m.GetAccuracyInMeters()),
		Name: wire.Clean(m.GetName()), Address: wire.Clean(m.GetAddress()), URL: wire.Clean(m.GetURL()),
		Caption: wire.Clean(m.GetComment()), Live: m.GetIsLive(), Thumbnail: smallPicture(m.GetJPEGThumbnail()),
	})
}

func readLiveLocation(m *waE2E.LiveLocationMessage) network.Content {
	return place(network.Location{
		Latitude: m.GetDegreesLatitude(), Longitude: m.GetDegreesLongitude(), Accuracy: metres(m.GetAccuracyInMeters()),
		Caption: wire.Clean(m.GetCaption()), Live: true, Thumbnail: smallPicture(m.GetJPEGThumbnail()),
	})
}

// place is a location if it is on this planet.
func place(l network.Location) network.Content {
	if !(math.Abs(l.Latitude) <= 90 && math.Abs(l.Longitude) <= 180) {
		return network.Unsupported{Type: "location that is not on the map", See: onPhone}
	}
	return l
}

func metres(n uint32) int { return int(min(n, math.MaxInt32)) }

func readContacts(cards ...*waE2E.ContactMessage) network.Contacts {
	var contacts network.Contacts
	for _, card := range cards[:min(len(cards), mostCards)] {
		text := wire.Clean(card.GetVcard())
		if len(text) > largestCard {
			text = ""
		}
		contacts.Cards = append(contacts.Cards, network.Card{Name: wire.Clean(card.GetDisplayName()), VCard: text})
	}
	return contacts
}

// pollOf is the poll of a message, of whatever version, nil if it is none.
func pollOf(m *waE2E.Message) *waE2E.PollCreationMessage {
	for _, poll := range []*waE2E.PollCreationMessage{
		m.PollCreationMessage, m.PollCreationMessageV2, m.PollCreationMessageV3, m.PollCreationMessageV5, m.PollCreationMessageV6,
	} {
		if poll != nil {
			return poll
		}
	}
	return nil
}

func readPoll(m *waE2E.PollCreationMessage) network.Poll {
	poll := network.Poll{Question: wire.Clean(m.GetName())}
	for _, option := range m.GetOptions()[:min(len(m.GetOptions()), mostOptions)] {
		poll.Options = append(poll.Options, wire.Clean(option.GetOptionName()))
	}
	poll.Choices = int(min(m.GetSelectableOptionsCount(), uint32(len(poll.Options))))
	if end := m.GetEndTime(); end > 0 {
		poll.Ends = moment(end)
	}
	return poll
}

// moment is a time that a phone wrote in seconds or in milliseconds.
func moment(n int64) time.Time {
	if n > 1<<36 {
		return time.UnixMilli(min(n, 1<<50))
	}
	return time.Unix(n, 0)
}

func readInvite(m *waE2E.GroupInviteMessage) reading {
	number, _, found := strings.Cut(m.GetGroupJID(), "@")
	group := network.GroupAddress(number)
	if !found || group.Validate() != nil || m.GetInviteCode() == "" {
		return locked("invitation to a group")
	}
	invite := network.GroupInvite{
		Group: group, Name: wire.Clean(m.GetGroupName()), Caption: wire.Clean(m.GetCaption()), Code: wire.Clean(m.GetInviteCode()),
		Thumbnail: smallPicture(m.GetJPEGThumbnail()),
	}
	if end := m.GetInviteExpiration(); end > 0 {
		invite.Expires = moment(end)
	}
	return reading{content: invite, info: m.GetContextInfo()}
}
