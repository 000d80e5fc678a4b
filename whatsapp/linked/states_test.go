package linked

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waSyncAction"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/simulator/meta"
)

func (d *device) chatChange(what string, fits func(network.ChatEvent) bool) network.ChatEvent {
	d.t.Helper()
	return await(d.told, what, fits)
}

// What the user does to chats on the phone is told. Unread means unread.
func TestChatStatesIn(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	them := addressOf(t, bob)
	until := time.Now().Add(8 * time.Hour).Truncate(time.Millisecond)
	require.NoError(t, anna.owner.Mute(bob.LID(), true, until))
	mute := anna.chatChange("mute", func(e network.ChatEvent) bool { return e.Mute != nil })
	require.Equal(t, them, mute.Conversation)
	require.True(t, mute.Mute.On)
	require.WithinDuration(t, until, mute.Mute.Until, time.Second)
	require.NoError(t, anna.owner.Mute(bob.LID(), true, time.Time{}))
	require.Equal(t, network.Mute{On: true}, *anna.chatChange("mute for good", func(e network.ChatEvent) bool { return e.Mute != nil }).Mute)
	require.NoError(t, anna.owner.Mute(bob.LID(), false, time.Time{}))
	require.Equal(t, network.Mute{}, *anna.chatChange("no mute", func(e network.ChatEvent) bool { return e.Mute != nil }).Mute)
	for _, on := range []bool{true, false} {
		require.NoError(t, anna.owner.Pin(bob.LID(), on))
		require.Equal(t, on, *anna.chatChange("pin", func(e network.ChatEvent) bool { return e.Pinned != nil }).Pinned)
		require.NoError(t, anna.owner.Archive(bob.LID(), on))
		require.Equal(t, on, *anna.chatChange("archive", func(e network.ChatEvent) bool { return e.Archived != nil }).Archived)
		require.NoError(t, anna.owner.MarkUnread(bob.LID(), on))
		require.Equal(t, on, *anna.chatChange("unread", func(e network.ChatEvent) bool { return e.Unread != nil }).Unread)
	}
	require.NoError(t, anna.owner.DeleteChat(bob.LID()))
	anna.chatChange("deletion", func(e network.ChatEvent) bool { return e.Deleted })
}

// What the login does to chats, the phone gets. Unread means unread.
func TestChatStatesOut(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	them := addressOf(t, bob)
	id, err := bob.Say(anna.owner.LID(), "hello")
	require.NoError(t, err)
	last := anna.hears(id).Message
	ctx := within(t)
	// the phone hands out the key of what the devices share first
	require.Eventually(t, func() bool { return anna.PinChat(ctx, them, true) == nil }, patience, 50*time.Millisecond)
	on := func(collection, what string, fits func(*waSyncAction.SyncActionValue) bool) {
		t.Helper()
		require.NoError(t, anna.owner.WaitState(ctx, collection, []string{what, bob.LID()}, fits))
	}
	on("regular_low", "pin_v1", func(v *waSyncAction.SyncActionValue) bool { return v.GetPinAction().GetPinned() })
	require.NoError(t, anna.MuteChat(ctx, them, network.Mute{On: true, Until: time.Now().Add(time.Hour)}))
	on("regular_high", "mute", func(v *waSyncAction.SyncActionValue) bool { return v.GetMuteAction().GetMuted() })
	require.NoError(t, anna.MuteChat(ctx, them, network.Mute{}))
	on("regular_high", "mute", func(v *waSyncAction.SyncActionValue) bool { return !v.GetMuteAction().GetMuted() })
	for _, state := range []bool{true, false} {
		require.NoError(t, anna.ArchiveChat(ctx, them, state, last.ID, last.Time))
		on("regular_low", "archive", func(v *waSyncAction.SyncActionValue) bool { return v.GetArchiveChatAction().GetArchived() == state })
		require.NoError(t, anna.MarkUnread(ctx, them, state, last.ID, last.Time))
		on("regular_low", "markChatAsRead", func(v *waSyncAction.SyncActionValue) bool {
			return v.GetMarkChatAsReadAction() != nil && v.GetMarkChatAsReadAction().GetRead() == !state
		})
	}
	require.NoError(t, anna.SyncChats(ctx))
}

func TestPeople(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	them := addressOf(t, bob)
	id, err := bob.Say(anna.owner.LID(), "hello")
	require.NoError(t, err)
	anna.hears(id)
	require.NoError(t, anna.owner.SetContact(bob.LID(), "Robert"))
	require.Eventually(t, func() bool { // the whole address book comes first, without a word about each name
		person, err := anna.Person(t.Context(), them)
		return err == nil && person.Name == "Robert"
	}, patience, 10*time.Millisecond)
	require.NoError(t, anna.owner.SetContact(bob.LID(), "Bobby from work"))
	renamed := await(anna.told, "the name", func(e network.PersonEvent) bool { return e.ContactName == "Bobby from work" })
	require.Equal(t, them, renamed.Person)
	require.Equal(t, network.Phone(bob.Phone()), renamed.Alias)
	require.Eventually(t, func() bool {
		person, err := anna.Person(t.Context(), them)
		return err == nil && person.Name == "Bobby from work" && person.Own && person.Alias == network.Phone(bob.Phone())
	}, patience, 10*time.Millisecond)
	contacts, err := anna.Contacts(t.Context())
	require.NoError(t, err)
	require.Len(t, contacts, 1, "the number and the LID are one person")
	require.Equal(t, them, contacts[0].Address)

	_, err = anna.Picture(within(t), them, "")
	require.ErrorIs(t, err, network.ErrNoPicture)
	heard(t, bob, anna.say(them, network.Text{Body: "how do you look?"})) // the network tells those who wrote
	require.NoError(t, bob.SetPicture(square(t)))
	changed := await(anna.told, "the picture", func(e network.PersonEvent) bool { return e.Picture })
	require.Equal(t, them, changed.Person)
	picture, err := anna.Picture(within(t), them, "")
	require.NoError(t, err)
	require.Equal(t, changed.PictureID, picture.ID)

	bob.NewIdentity()
	await(anna.told, "the new key", func(e network.IdentityEvent) bool { return e.Person == them })
}

// Somebody known by number alone goes on under their LID once that is known, and is told to.
func TestNumberBecomesLID(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	l := mustLink(t, anna)
	phone := network.Phone(bob.Phone())
	number := types.NewJID(phone.User, types.DefaultUserServer)
	known, err := l.own.address(t.Context(), number)
	require.NoError(t, err)
	require.Equal(t, phone, known)
	again, err := anna.Canonical(t.Context(), phone)
	require.NoError(t, err)
	require.Equal(t, phone, again)

	id, err := bob.Say(anna.owner.LID(), "it is me")
	require.NoError(t, err)
	moved := await(anna.told, "the move", func(e network.PersonEvent) bool { return e.Alias == phone })
	require.Equal(t, addressOf(t, bob), moved.Person)
	require.Equal(t, addressOf(t, bob), anna.hears(id).Message.ID.Sender)
	known, err = l.own.address(t.Context(), number)
	require.NoError(t, err)
	require.Equal(t, addressOf(t, bob), known)
	loose, err := anna.db.LoosePhones(t.Context(), anna.Self().String())
	require.NoError(t, err)
	require.Empty(t, loose, "told once")

	// what is sent to the number reaches the person
	sent := anna.say(phone, network.Text{Body: "by number"})
	require.Equal(t, "by number", heard(t, bob, sent).Text)
}

func TestCalls(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	l := mustLink(t, anna)
	jid := mustJID(t, addressOf(t, bob))
	meta := func(id string) types.BasicCallMeta {
		return types.BasicCallMeta{From: jid, CallCreator: jid, CallID: id, Timestamp: time.Now()}
	}
	state := func(id string) network.CallState {
		t.Helper()
		call := await(anna.told, "a call", func(e network.CallEvent) bool { return e.ID == id })
		require.Equal(t, addressOf(t, bob), call.Caller)
		require.Equal(t, call.Caller, call.Conversation)
		return call.State
	}
	require.True(t, l.take(&events.CallOffer{BasicCallMeta: meta("1")}))
	require.True(t, l.take(&events.CallOffer{BasicCallMeta: meta("1")}))
	require.Equal(t, network.CallRinging, state("1"))
	require.True(t, l.take(&events.CallTerminate{BasicCallMeta: meta("1"), Reason: "timeout"}))
	require.Equal(t, network.CallMissed, state("1"))
	require.True(t, l.take(&events.CallOffer{BasicCallMeta: meta("2")}))
	require.True(t, l.take(&events.CallAccept{BasicCallMeta: meta("2")}))
	require.True(t, l.take(&events.CallTerminate{BasicCallMeta: meta("2")}))
	require.Equal(t, network.CallRinging, state("2"))
	require.Equal(t, network.CallElsewhere, state("2"))
	old := meta("3")
	old.Timestamp = time.Now().Add(-time.Hour)
	require.True(t, l.take(&events.CallOffer{BasicCallMeta: old}))
	require.True(t, l.take(&events.CallTerminate{BasicCallMeta: old, Reason: "timeout"}))
	require.Equal(t, network.CallMissed, state("3"), "while this device was away")
	require.True(t, l.take(&events.CallTerminate{BasicCallMeta: meta("4"), Reason: "timeout"}))
	require.Equal(t, network.CallMissed, state("4"), "it rang for an earlier process")
	anna.lock.Lock()
	defer anna.lock.Unlock()
	count := 0
	for _, event := range anna.events {
		if _, ok := event.(network.CallEvent); ok {
			count++
		}
	}
	require.Equal(t, 6, count, "each state once, one end")
}

// A call of the simulated network rings and ends as calls do, and can be turned down from here.
func TestCallsOnTheWire(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	next := func(id string) network.CallEvent {
		t.Helper()
		return await(anna.told, "a call", func(e network.CallEvent) bool { return e.ID == id })
	}
	missed, err := bob.Call(anna.owner.LID(), false)
	require.NoError(t, err)
	rings := next(missed)
	require.Equal(t, network.CallRinging, rings.State)
	require.Equal(t, addressOf(t, bob), rings.Caller)
	require.False(t, rings.Video)
	require.NoError(t, bob.HangUp(missed))
	require.Equal(t, network.CallMissed, next(missed).State)

	taken, err := bob.Call(anna.owner.LID(), true)
	require.NoError(t, err)
	require.True(t, next(taken).Video)
	require.NoError(t, anna.owner.AnswerCall(taken))
	require.Equal(t, network.CallElsewhere, next(taken).State)

	unwanted, err := bob.Call(anna.owner.LID(), false)
	require.NoError(t, err)
	require.NoError(t, anna.DeclineCall(within(t), next(unwanted)))
	require.Eventually(t, func() bool { return !simulated.Ringing(unwanted) }, patience, 10*time.Millisecond)
	require.Error(t, bob.HangUp(unwanted), "it is over")
}

// What comes from places that are no chats is told of, except from a list: to who is on it that is a direct chat.
func TestBeyondChats(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	_, err := bob.PostStatus(anna.owner.LID(), "at the sea")
	require.NoError(t, err)
	omitted := await(anna.told, "the status post", func(e network.OmittedEvent) bool { return true })
	require.Equal(t, "status post", omitted.What)
	require.Equal(t, addressOf(t, bob), omitted.Sender)
	require.NoError(t, simulated.PublishTo(anna.owner, "news"))
	require.Equal(t, "channel message", await(anna.told, "the channel", func(e network.OmittedEvent) bool { return e.What != "status post" }).What)
	id, err := bob.SendToList(anna.owner.LID(), "to all of you")
	require.NoError(t, err)
	listed := anna.hears(id).Message
	require.Equal(t, network.MessageID{Conversation: addressOf(t, bob), Sender: addressOf(t, bob), ID: id}, listed.ID)
	require.Equal(t, network.Text{Body: "to all of you"}, listed.Content)
}

func TestPhoneAway(t *testing.T) {
	anna := newDevice(t, "Anna")
	anna.Disconnect()
	long := time.Now().Add(-11 * 24 * time.Hour)
	require.NoError(t, anna.db.SetPhoneSeen(t.Context(), anna.Self().String(), long.UnixMilli(), false))
	anna.open(openStoreOn(t, anna.db), anna.Self())
	anna.connect()
	away := await(anna.told, "the warning", func(e network.PhoneEvent) bool { return e.Away })
	require.Equal(t, long.UnixMilli(), away.Seen.UnixMilli())
	l := mustLink(t, anna)
	require.NoError(t, l.checkPhone(t.Context()))
	bob := person("Bob")
	_, err := anna.owner.Say(bob.LID(), "back again")
	require.NoError(t, err)
	await(anna.told, "the phone's return", func(e network.PhoneEvent) bool { return !e.Away })
	anna.lock.Lock()
	defer anna.lock.Unlock()
	count := 0
	for _, event := range anna.events {
		if _, ok := event.(network.PhoneEvent); ok {
			count++
		}
	}
	require.Equal(t, 2, count, "once each")
}

// What the devices share and no longer fits is mended: from the server, and if that is broken too, from the phone.
func TestBrokenStateIsMended(t *testing.T) {
	for name, count := range map[string]int{"a change": 1, "all that the server has": 2} {
		t.Run(name, func(t *testing.T) {
			anna, bob := newDevice(t, "Anna"), person("Bob")
			require.NoError(t, anna.owner.Pin(bob.LID(), false)) // the keys of what is shared are there
			anna.chatChange("the first state", func(e network.ChatEvent) bool { return e.Pinned != nil && !*e.Pinned })
			anna.settle()
			fault := simulated.Fault(meta.Fault{
				Kind: meta.FaultAppState, Match: meta.Match{Account: anna.owner.LID()}, Params: map[string]string{"name": "regular_low"}, Count: count,
			})
			defer fault.Remove()
			require.NoError(t, anna.owner.Pin(bob.LID(), true))
			anna.chatChange("the pin", func(e network.ChatEvent) bool { return e.Pinned != nil && *e.Pinned })
			require.Equal(t, count, fault.Struck())
			require.NoError(t, anna.owner.Archive(bob.LID(), true))
			anna.chatChange("what comes after", func(e network.ChatEvent) bool { return e.Archived != nil && *e.Archived })
		})
	}
}
