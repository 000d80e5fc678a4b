package meta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"slices"
	"time"
)

// This file is the control plane of chats within WhatsApp: what third-party chats do not have, groups, and what a person does
// on the phone for themselves.

// chatCall is what a call to send something within WhatsApp has besides.
type chatCall struct {
	// Options are those of a poll, or those that a vote chooses; Several is how many may be chosen, 0 for as many as one likes.
	Options []string `json:"options"`
	Several int      `json:"several"`
	// Mentions are people by any of their names.
	Mentions []string `json:"mentions"`
	// Latitude and Longitude are a place, whose name is the text.
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Cards     []Card  `json:"cards"`
	Group     string  `json:"group"`
	Code      string  `json:"code"`
	Count     int     `json:"count"` // of an album's pictures
	ViewOnce  bool    `json:"view_once"`
	Animated  bool    `json:"animated"`
}

// chatAction is what a call asks for of the kinds that exist within WhatsApp only.
func (c sendCall) chatAction(p *Person) (say func() (string, error), found bool) {
	actions := map[string]func() (string, error){
		"mention":        func() (string, error) { return p.Mention(c.To, c.Text, c.Mentions...) },
		"poll":           func() (string, error) { return p.SendPoll(c.To, c.Text, c.Several, c.Options...) },
		"vote":           func() (string, error) { return p.Vote(c.To, c.ToID, c.Options...) },
		"location":       func() (string, error) { return p.SendLocation(c.To, c.Latitude, c.Longitude, c.Text) },
		"live_location":  func() (string, error) { return p.SendLiveLocation(c.To, c.Latitude, c.Longitude, c.Text) },
		"contacts":       func() (string, error) { return p.SendContacts(c.To, c.Cards...) },
		"view_once_stub": func() (string, error) { return p.SendViewOnceStub(c.To) },
		"group_invite":   func() (string, error) { return p.SendGroupInvite(c.To, c.Group, c.Code) },
		"event":          func() (string, error) { return p.SendEvent(c.To, c.Text, p.n.now().Add(24*time.Hour)) },
		"unknown":        func() (string, error) { return p.SendUnknown(c.To) },
		"disappearing":   func() (string, error) { return p.SetEphemeral(c.To, uint32(max(0, c.Seconds))) },
		"reaction_to_own": func() (string, error) {
			return p.ReactToOwn(c.To, c.ToID, c.Text)
		},
		"forward": func() (string, error) {
			heard := p.Heard()
			i := slices.IndexFunc(heard, func(h Heard) bool { return h.ID == c.ToID })
			if i < 0 {
				return "", fmt.Errorf("message %s: %w", c.ToID, errNeverHeard)
			}
			return p.Forward(c.To, heard[i])
		},
		"album": func() (string, error) { return c.album(p) },
	}
	say, found = actions[c.Kind]
	return say, found
}

// album sends made-up pictures that belong together, and returns the id of the album.
func (c sendCall) album(p *Person) (string, error) {
	files := make([]Media, max(2, min(c.Count, 30)))
	for i := range files {
		each := c
		each.Kind = string(Image)
		m, err := each.media(p)
		if err != nil {
			return "", err
		}
		files[i] = m
	}
	ids, err := p.SendAlbum(c.To, files...)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// SampleAnimation makes up a sticker that moves: a WebP of two frames.
func SampleAnimation(seed int64) []byte {
	random := rand.New(rand.NewSource(seed))
	still := SampleFile("image/webp", 0, seed)
	chunk := func(name string, data []byte) []byte {
		out := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data)))
		out = append(out, data...)
		if len(data)%2 == 1 {
			out = append(out, 0)
		}
		return out
	}
	frame := append(make([]byte, 12), 100, 0, 0, 0) // at 0,0, one pixel each way, 100 ms
	frame = append(frame, still[12:]...)
	body := bytes.Join([][]byte{[]byte("WEBP"), chunk("VP8X", []byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		chunk("ANIM", []byte{byte(random.Intn(256)), 0, 0, 0, 0, 0}), chunk("ANMF", frame), chunk("ANMF", frame)}, nil)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func (a *admin) createGroup(p *Person, r *http.Request) (any, error) {
	var body struct {
		Subject      string   `json:"subject"`
		Participants []string `json:"participants"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	jid, err := p.CreateGroup(body.Subject, body.Participants...)
	if err != nil {
		return nil, refused(err)
	}
	return a.n.Group(jid)
}

// groupCall is the body of a call that changes a group.
type groupCall struct {
	Participants []string `json:"participants"`
	Text         string   `json:"text"`
	On           bool     `json:"on"`
	Seconds      int      `json:"seconds"`
}

// changeGroup does what the path names to a group, and shows the group.
func (a *admin) changeGroup(p *Person, r *http.Request) (any, error) {
	var body groupCall
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	group := r.PathValue("gid")
	var err error
	switch action := r.PathValue("action"); action {
	case "add", "remove", "promote", "demote":
		err = p.ChangeMembers(group, action, body.Participants...)
	case "approve", "reject":
		err = p.Decide(group, action, body.Participants...)
	case "subject":
		err = p.SetSubject(group, body.Text)
	case "description":
		err = p.SetDescription(group, body.Text)
	case "announcement", "not_announcement", "locked", "unlocked":
		err = p.SetGroupMode(group, action)
	case "approval":
		err = p.SetApproval(group, body.On)
	case "ephemeral":
		err = p.SetGroupEphemeral(group, body.Seconds)
	case "picture":
		err = p.SetGroupPicture(group, a.samplePicture(body.On))
	case "leave":
		err = p.LeaveGroup(group)
	case "link":
		link, err := p.InviteLink(group, body.On)
		return map[string]string{"link": link}, refused(err)
	case "join":
		waits, err := p.JoinByLink(body.Text)
		return map[string]bool{"waits": waits}, refused(err)
	default:
		return nil, fmt.Errorf("group action %q: %w", action, errNoRecord)
	}
	if err != nil {
		return nil, refused(err)
	}
	return a.n.Group(group)
}

// samplePicture is a made-up picture, nil if there is to be none.
func (a *admin) samplePicture(on bool) []byte {
	if !on {
		return nil
	}
	var seed int64
	a.n.random(func(r *rand.Rand) { seed = r.Int63() })
	return SampleFile("image/jpeg", 0, seed)
}

func (a *admin) groups(*http.Request) (any, error) {
	a.n.mu.Lock()
	names := make([]string, 0, len(a.n.groups))
	for name := range a.n.groups {
		names = append(names, name)
	}
	a.n.mu.Unlock()
	slices.Sort(names)
	list := []GroupInfo{}
	for _, name := range names {
		g, err := a.n.Group(name)
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
}

func (a *admin) group(r *http.Request) (any, error) { return a.n.Group(r.PathValue("gid")) }

// profileCall is the body of a call about how a person appears to others; what is left out stays.
type profileCall struct {
	Name    *string           `json:"name"`
	About   *string           `json:"about"`
	Picture *bool             `json:"picture"`
	Privacy map[string]string `json:"privacy"`
}

func (a *admin) profileOf(p *Person, r *http.Request) (any, error) {
	var body profileCall
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	if body.Name != nil {
		p.Rename(*body.Name)
	}
	if body.About != nil {
		p.SetAbout(*body.About)
	}
	if body.Picture != nil {
		if err := p.SetPicture(a.samplePicture(*body.Picture)); err != nil {
			return nil, refused(err)
		}
	}
	for name, value := range body.Privacy {
		if err := p.SetPrivacy(name, value); err != nil {
			return nil, err
		}
	}
	return a.describe(p), nil
}

func (a *admin) history(r *http.Request) (any, error) {
	var body struct {
		Account  string `json:"account"`
		Chats    int    `json:"chats"`
		Messages int    `json:"messages"`
	}
	p, err := a.ownPhone(r, &body, &body.Account)
	if err != nil {
		return nil, err
	}
	total, err := p.GrowHistory(body.Chats, body.Messages)
	return map[string]int{"messages": total}, err
}

// appState changes something of what the devices of an account share.
func (a *admin) appState(r *http.Request) (any, error) {
	var body struct {
		Account string `json:"account"`
		Chat    string `json:"chat"`
		Action  string `json:"action"`
		On      bool   `json:"on"`
		Seconds int    `json:"seconds"`
		Name    string `json:"name"`
	}
	p, err := a.ownPhone(r, &body, &body.Account)
	if err != nil {
		return nil, err
	}
	switch body.Action {
	case "mute":
		until := time.Time{}
		if body.Seconds > 0 {
			until = a.n.now().Add(time.Duration(body.Seconds) * time.Second)
		}
		err = p.Mute(body.Chat, body.On, until)
	case "pin":
		err = p.Pin(body.Chat, body.On)
	case "archive":
		err = p.Archive(body.Chat, body.On)
	case "unread":
		err = p.MarkUnread(body.Chat, body.On)
	case "delete":
		err = p.DeleteChat(body.Chat)
	case "contact":
		err = p.SetContact(body.Chat, body.Name)
	default:
		err = errors.New("action: want mute, pin, archive, unread, delete or contact")
	}
	if err != nil {
		return nil, err
	}
	return a.state(p, nil)
}

// state shows what the devices of an account share.
func (a *admin) state(p *Person, _ *http.Request) (any, error) {
	shown := map[string]map[string]string{}
	for _, name := range collectionNames() {
		values, err := p.State(name)
		if err != nil {
			return nil, err
		}
		shown[name] = map[string]string{}
		for index, value := range values {
			shown[name][index] = value.String()
		}
	}
	return shown, nil
}

// within adds what a message of a chat within WhatsApp has.
func (i heardInfo) within(h Heard) heardInfo {
	i.Chat, i.FromMe, i.Device, i.Mentions, i.Forwarded, i.ViewOnce = h.Chat, h.FromMe, h.Device, h.Mentions, h.Forwarded, h.ViewOnce
	if h.Vote != nil {
		i.VoteIn, i.Options = h.Vote.PollID, h.Vote.Options
	}
	if poll := pollIn(inner(h.Message)); poll != nil {
		for _, option := range poll.GetOptions() {
			i.Options = append(i.Options, option.GetOptionName())
		}
	}
	if location := inner(h.Message).GetLocationMessage(); location != nil {
		i.Location = fmt.Sprintf("%g,%g", location.GetDegreesLatitude(), location.GetDegreesLongitude())
	}
	for _, card := range append(inner(h.Message).GetContactsArrayMessage().GetContacts(), inner(h.Message).GetContactMessage()) {
		if card != nil {
			i.Cards = append(i.Cards, card.GetDisplayName())
		}
	}
	return i
}
