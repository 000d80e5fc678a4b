package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
)

func take(t *testing.T, p *process, events ...network.Event) {
	t.Helper()
	for _, e := range events {
		require.NoError(t, p.Inbox.Take(t.Context(), login, e))
	}
}

func TestAnEventIsShownOnceHoweverOftenItComes(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		take(t, p, text(anna, "A", "one"), text(anna, "A", "one"), text(anna, "B", "two"))
		bridge.shows(t, anna, "one", "two")
		take(t, p, text(anna, "A", "one"))
		require.Equal(t, map[database.InboxState]int{database.InboxDone: 2}, p.inboxStates(t))
		require.EqualValues(t, 2, p.Figures().Repeats)
		rows, err := p.journal.InboxByState(t.Context(), database.InboxDone, 10)
		require.NoError(t, err)
		require.Empty(t, rows[0].Payload, "what is delivered is forgotten")
	})
}

func TestARowIsPartOfTheTransactionThatOpensItsEvent(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		cause := errors.New("no")
		require.ErrorIs(t, p.options.DB.Transaction(t.Context(), func(ctx context.Context) error {
			require.NoError(t, p.Inbox.Take(ctx, login, text(anna, "A", "one")))
			return cause
		}), cause)
		require.Empty(t, p.inboxStates(t))
		require.NoError(t, p.options.DB.Transaction(t.Context(), func(ctx context.Context) error {
			require.NoError(t, p.Inbox.Take(ctx, login, text(anna, "A", "one")))
			require.NoError(t, p.Inbox.Take(ctx, login, text(anna, "B", "two")))
			return nil
		}))
		bridge.shows(t, anna, "one", "two")
	})
}

// What did not open when it came has its place there, however late it is sent again.
func TestAChangeThatIsSentAgainDoesNotUndoALaterOne(t *testing.T) {
	closed := func(id string) network.MessageEvent {
		e := text(anna, id, "")
		e.Message.Content = network.Undecryptable{}
		return e
	}
	reaction := func(id, emoji string) network.MessageEvent {
		e := text(anna, id, "")
		e.Message.Content = network.Reaction{Target: text(anna, "T", "").Message.ID, Emoji: emoji}
		return e
	}
	for name, c := range map[string]struct {
		comes []network.Event
		// effects are what reaches the room besides the target and the placeholders, in order.
		effects []string
	}{
		"the later opened at once":        {[]network.Event{closed("A"), reaction("B", ""), reaction("A", "👍")}, []string{"B ", "A withdrawn"}},
		"both were sent again, in order":  {[]network.Event{closed("A"), closed("B"), reaction("A", "👍"), reaction("B", "")}, []string{"A 👍", "B "}},
		"both were sent again, the other": {[]network.Event{closed("A"), closed("B"), reaction("B", ""), reaction("A", "👍")}, []string{"B ", "A withdrawn"}},
		"nothing else came":               {[]network.Event{closed("A"), reaction("A", "👍")}, []string{"A 👍"}},
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				bridge := newBridge()
				var effects []string
				bridge.ignores = func(e network.Event) bool {
					message := e.(network.MessageEvent).Message
					switch content := message.Content.(type) {
					case network.Reaction:
						effects = append(effects, message.ID.ID+" "+content.Emoji)
					case network.Remove:
						require.Equal(t, message.ID, content.Target)
						effects = append(effects, message.ID.ID+" withdrawn")
					}
					return false
				}
				p := launch(t, on, bridge)
				take(t, p, append([]network.Event{text(anna, "T", "one")}, c.comes...)...)
				until(t, func() bool { return p.inboxStates(t)[database.InboxDone] == 1+len(c.comes) })
				p.Stop(t.Context())
				require.Equal(t, c.effects, effects)
			})
		})
	}
}

// Tried again after a newer change, what is older would look like the newest: before a change begins, all before it is closed.
func TestAChangeBeginsWhenWhatIsBeforeItIsClosed(t *testing.T) {
	target := text(anna, "T", "one")
	for name, content := range map[string]network.Content{
		"reaction": network.Reaction{Target: target.Message.ID, Emoji: "👍"}, "edit": network.Edit{Target: target.Message.ID, Content: network.Text{Body: "new"}},
		"removal": network.Remove{Target: target.Message.ID}, "vote": network.Vote{Poll: target.Message.ID},
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				bridge := newBridge()
				taken, closed := make(chan struct{}), make(chan int, 1)
				var p *process
				bridge.ignores = func(e network.Event) bool {
					<-taken // so that no other commit brings theirs along
					if e.(network.MessageEvent).Message.ID.ID == "C" {
						rows, err := p.journal.InboxByState(t.Context(), database.InboxDone, 10)
						assert.NoError(t, err)
						closed <- len(rows)
					}
					return false
				}
				p = launch(t, on, bridge)
				change := text(anna, "C", "")
				change.Message.Content = content
				take(t, p, target, text(anna, "U", "two"), change)
				close(taken)
				require.Equal(t, 2, <-closed)
			})
		})
	}
}

func TestNobodyCanSuppressTheMessageOfAnother(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		take(t, p, text(anna, "SAME", "from anna"), text(bob, "SAME", "from bob"))
		stranger := text(anna, "SAME", "from bob in anna's chat")
		stranger.Message.ID.Sender = bob
		take(t, p, stranger)
		bridge.shows(t, anna, "from anna", "from bob in anna's chat")
		bridge.shows(t, bob, "from bob")
	})
}

func TestEachConversationKeepsItsOrder(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		var slow atomic.Int32
		bridge.before = func(network.MessageEvent) error {
			if slow.Add(1)%7 == 0 {
				return errDown
			}
			return nil
		}
		p := launch(t, on, bridge)
		// more than a lane keeps in memory, from several clients at once
		const each = laneMemory + 60
		var clients sync.WaitGroup
		people := []network.Address{anna, bob, network.LID("90000000000003")}
		for _, person := range people {
			clients.Go(func() {
				for i := range each {
					if err := p.Inbox.Take(t.Context(), login, text(person, fmt.Sprint(i), fmt.Sprint("m", i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		clients.Wait()
		for _, person := range people {
			bridge.shows(t, person, numbers("m", each)...)
		}
	})
}

func TestWhatComesWhileTheHomeserverIsAwayWaits(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		var tries atomic.Int32
		bridge.before = func(network.MessageEvent) error {
			tries.Add(1)
			return errDown
		}
		p := launch(t, on, bridge)
		for i := range 20 {
			take(t, p, text(anna, fmt.Sprint(i), fmt.Sprint("m", i)))
		}
		until(t, func() bool { return tries.Load() > 10 })
		require.Empty(t, bridge.texts(anna))
		bridge.set(func() { bridge.before = nil })
		bridge.shows(t, anna, numbers("m", 20)...)
	})
}

func TestALostAnswerIsLookedUpInTheRoom(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		var failed atomic.Int32
		bridge.after = func(e network.MessageEvent) error {
			if e.Message.ID.ID == "B" && failed.Add(1) <= 1 {
				return errDown
			}
			return nil
		}
		p := launch(t, on, bridge)
		take(t, p, text(anna, "A", "one"), text(anna, "B", "two"), text(anna, "C", "three"))
		bridge.shows(t, anna, "one", "two", "three")
		require.Equal(t, map[database.InboxState]int{database.InboxDone: 3}, p.inboxStates(t))
		require.EqualValues(t, 1, failed.Load(), "the second try found the first one's event")
		require.EqualValues(t, 1, p.Figures().Scans)
	})
}

func TestNothingIsSentWhileTheRoomInDoubtCannotBeRead(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.after = func(network.MessageEvent) error { return errDown }
		bridge.scanErr = errDown
		p := launch(t, on, bridge)
		take(t, p, text(anna, "A", "one"))
		until(t, func() bool {
			bridge.lock.Lock()
			defer bridge.lock.Unlock()
			return bridge.scans > 3
		})
		bridge.shows(t, anna, "one")
		bridge.set(func() { bridge.after, bridge.scanErr = nil, nil })
		until(t, func() bool { return p.inboxStates(t)[database.InboxDone] == 1 })
		bridge.shows(t, anna, "one")
	})
}

// The process dies at each place between the homeserver's commit and ours, again and again.
func TestDeathAnywhereNeitherLosesNorDoubles(t *testing.T) {
	deaths := map[string]func(b *playedBridge, here func()){
		"before the homeserver": func(b *playedBridge, here func()) {
			b.before = func(network.MessageEvent) error { here(); return errDown }
		},
		"after the homeserver, before bridgev2's row": func(b *playedBridge, here func()) {
			b.after = func(network.MessageEvent) error { here(); return errDown }
		},
	}
	for name, arm := range deaths {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				bridge := newBridge()
				for round := range 5 {
					reached := make(chan struct{})
					bridge.set(func() { arm(bridge, sync.OnceFunc(func() { close(reached) })) })
					p := launch(t, on, bridge)
					take(t, p, text(anna, fmt.Sprint("A", round), fmt.Sprint("m", 2*round)), text(anna, fmt.Sprint("B", round), fmt.Sprint("m", 2*round+1)))
					<-reached
					p.die()
				}
				bridge.set(func() { bridge.before, bridge.after = nil, nil })
				p := launch(t, on, bridge)
				bridge.shows(t, anna, numbers("m", 10)...)
				until(t, func() bool { return p.inboxStates(t)[database.InboxDone] == 10 })
				bridge.shows(t, anna, numbers("m", 10)...)
			})
		})
	}
}

func TestDeathBeforeTheRowIsClosedIsNoRepeat(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := boot(t, on, bridge)
		take(t, first, text(anna, "A", "one"))
		// bridgev2 has its row, ours is still open
		carried := &carriage{find: func(string) (id.EventID, bool) { return "", false }, remember: func(string, id.EventID) {}}
		require.NoError(t, bridge.handleMessage(carried, login, text(anna, "A", "one")))
		first.die()
		p := launch(t, on, bridge)
		until(t, func() bool { return p.inboxStates(t)[database.InboxDone] == 1 })
		bridge.shows(t, anna, "one")
		rows, err := p.journal.InboxByState(t.Context(), database.InboxDone, 1)
		require.NoError(t, err)
		require.Equal(t, endRepeat, rows[0].ErrorClass)
	})
}

func TestEventsAreStoredBeforeTheBridgeRunsAndComeInOrder(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := boot(t, on, bridge)
		take(t, first, text(anna, "A", "one"), text(anna, "B", "two"))
		first.die()
		second := boot(t, on, bridge)
		take(t, second, text(anna, "C", "three"))
		require.Empty(t, bridge.texts(anna))
		require.NoError(t, second.Run(t.Context()))
		t.Cleanup(second.die)
		take(t, second, text(anna, "D", "four"))
		bridge.shows(t, anna, "one", "two", "three", "four")
	})
}

func TestWhatCannotBeConvertedBecomesAPlaceholder(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errConvert },
		"panic": func() error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				bridge := newBridge()
				var tries atomic.Int32
				bridge.before = func(e network.MessageEvent) error {
					if e.Message.Content == (network.Text{Body: "bad"}) {
						tries.Add(1)
						return fail()
					}
					return nil
				}
				p := launch(t, on, bridge)
				take(t, p, text(anna, "A", "one"), text(anna, "B", "bad"), text(anna, "C", "three"))
				bridge.shows(t, anna, "one", "network.Unsupported", "three")
				require.EqualValues(t, 3, tries.Load())
				require.Equal(t, map[database.InboxState]int{database.InboxDone: 3}, p.inboxStates(t))
				rows, err := p.journal.InboxByState(t.Context(), database.InboxDone, 10)
				require.NoError(t, err)
				require.Equal(t, endPlaceholder, rows[1].ErrorClass)
				require.NotEmpty(t, rows[1].Payload, "kept for a better version")
			})
		})
	}
}

func TestWhatCannotBeShownAtAllIsSaid(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.before = func(e network.MessageEvent) error {
			switch e.Message.ID.ID {
			case "GONE":
				return ErrGone
			case "HOPELESS":
				return errConvert
			}
			return nil
		}
		p := launch(t, on, bridge)
		take(t, p, text(anna, "GONE", "x"), text(anna, "HOPELESS", "y"), text(anna, "C", "three"))
		bridge.shows(t, anna, "three")
		require.Equal(t, map[database.InboxState]int{database.InboxDone: 1, database.InboxQuarantined: 2}, p.inboxStates(t))
		require.Equal(t, []string{"gone", "ours"}, bridge.lost)
	})
}

// edit is new text for the message of anna's that is called A.
func edit(id string) network.MessageEvent {
	e := text(anna, id, "")
	e.Message.Content = network.Edit{Target: text(anna, "A", "").Message.ID, Content: network.Text{Body: "new text"}}
	return e
}

// ignoringEdits passes edits over until there is what they change.
func ignoringEdits() *playedBridge {
	bridge := newBridge()
	bridge.ignores = func(e network.Event) bool {
		target, changes := targetOf(e.(network.MessageEvent).Message.Content)
		bridge.lock.Lock()
		defer bridge.lock.Unlock()
		_, there := bridge.rows[target.String()]
		return changes && !there
	}
	return bridge
}

func TestAnEventWaitsForTheMessageThatItChanges(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := ignoringEdits()
		p := launch(t, on, bridge)
		take(t, p, edit("EDIT"), text(anna, "B", "other"))
		bridge.shows(t, anna, "other")
		require.Equal(t, 1, p.inboxStates(t)[database.InboxHeld])
		take(t, p, text(anna, "A", "one"))
		bridge.shows(t, anna, "other", "one", "network.Edit")
	})
}

// What takes a change back does not pass it by while it waits for its message.
func TestChangesThatWaitKeepTheirOrder(t *testing.T) {
	target := text(anna, "T", "one")
	reaction := func(id, emoji string) network.MessageEvent {
		e := text(anna, id, "")
		e.Message.Content = network.Reaction{Target: target.Message.ID, Emoji: emoji}
		return e
	}
	for name, comes := range map[string][]network.Event{
		"both before it":         {reaction("A", "👍"), reaction("B", ""), target},
		"one before it, one not": {reaction("A", "👍"), target, reaction("B", "")},
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				bridge := newBridge()
				taken := make(chan struct{})
				var effects []string
				bridge.ignores = func(e network.Event) bool {
					<-taken
					message := e.(network.MessageEvent).Message
					content, ok := message.Content.(network.Reaction)
					if known, err := bridge.Bridged(t.Context(), networkid.PortalKey{}, content.Target); !ok || err != nil || !known {
						return ok
					}
					effects = append(effects, message.ID.ID)
					return false
				}
				p := launch(t, on, bridge)
				take(t, p, comes...)
				close(taken)
				until(t, func() bool { return p.inboxStates(t)[database.InboxDone] == 3 })
				p.Stop(t.Context())
				require.Equal(t, []string{"A", "B"}, effects)
			})
		})
	}
}

func TestAnEditOfAMessageThatNeverComesIsAMessage(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := ignoringEdits()
		p := launch(t, on, bridge, func(o *Options) { o.Timing.Hold = time.Nanosecond })
		take(t, p, edit("EDIT"), text(anna, "B", "other"))
		bridge.shows(t, anna, "other")
		until(t, func() bool {
			require.NoError(t, p.Inbox.releaseOverdue(t.Context()))
			return slices.Equal([]string{"other", "new text"}, bridge.texts(anna))
		}, func() any { return bridge.texts(anna) })
		require.Equal(t, map[database.InboxState]int{database.InboxDone: 2}, p.inboxStates(t))
	})
}

// The network's clock is coarse and may be off; what a restart reads back keeps the order of its arrival all the same.
func TestTheOrderOfArrivalOutlivesTheProcess(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		at := func(e network.MessageEvent, second int64) network.MessageEvent {
			e.Message.Time = time.Unix(1_700_000_000+second, 0)
			return e
		}
		bridge := newBridge()
		first := boot(t, on, bridge) // takes, and delivers nothing yet
		take(t, first, at(text(anna, "A", "one"), 3), at(text(anna, "B", "two"), 1), at(text(anna, "C", "three"), 2))
		first.die()
		launch(t, on, bridge)
		bridge.shows(t, anna, "one", "two", "three")
	})
}

func TestAFullInboxLeavesEventsWithTheNetwork(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.before = func(network.MessageEvent) error { return errDown }
		p := launch(t, on, bridge, func(o *Options) { o.Timing.InboxLimit = 2 })
		take(t, p, text(anna, "A", "one"), text(anna, "B", "two"))
		require.ErrorIs(t, p.Inbox.Take(t.Context(), login, text(anna, "C", "three")), ErrInboxFull)
		bridge.set(func() { bridge.before = nil })
		bridge.shows(t, anna, "one", "two")
		until(t, func() bool { return p.Inbox.Take(t.Context(), login, text(anna, "C", "three")) == nil })
		bridge.shows(t, anna, "one", "two", "three")
	})
}

func TestReceiptsMergeAndOutliveTheProcess(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		receipt := func(ids ...string) network.ReceiptEvent {
			return network.ReceiptEvent{Kind: network.Read, Conversation: anna, Reader: anna, IDs: ids, Time: time.UnixMilli(1000)}
		}
		first := boot(t, on, bridge)
		take(t, first, receipt("A"), receipt("B", "A"), network.TypingEvent{Conversation: bob, Sender: bob, Typing: true})
		first.die()
		p := launch(t, on, bridge)
		passed := func() []network.Event {
			bridge.lock.Lock()
			defer bridge.lock.Unlock()
			return slices.Clone(bridge.soft)
		}
		until(t, func() bool { return len(passed()) == 1 })
		require.Equal(t, []network.Event{receipt("B", "A")}, passed())
		until(t, func() bool {
			require.NoError(t, p.flush(t.Context()))
			rows, err := p.journal.Receipts(t.Context())
			return errors.Is(err, nil) && len(rows) == 0
		})
		take(t, p, network.TypingEvent{Conversation: bob, Sender: bob, Typing: true})
		until(t, func() bool { return len(passed()) == 2 })
	})
}

func TestUnknownEventsStayWithTheNetwork(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		p := boot(t, on, newBridge())
		t.Cleanup(p.die)
		require.Error(t, p.Inbox.Take(t.Context(), login, network.ConnectionEvent{State: network.Connected}))
		require.Error(t, p.Inbox.Take(t.Context(), login, network.MessageEvent{}), "a message without content")
	})
}

func TestTheKeysOfOldRowsExpire(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge, func(o *Options) { o.Timing.Retention = time.Millisecond })
		take(t, p, text(anna, "A", "one"))
		bridge.shows(t, anna, "one")
		until(t, func() bool { return len(p.inboxStates(t)) == 0 })
	})
}

// A homeserver that was away for a moment is not left waiting for minutes, however often lanes were woken meanwhile.
func TestTheWaitGrowsWithTheFailureAndNotWithTheTries(t *testing.T) {
	const first, limit = time.Second, 5 * time.Minute
	for failing, most := range map[time.Duration]time.Duration{0: first, 2 * time.Second: 2 * time.Second, time.Minute: time.Minute, time.Hour: limit} {
		for range 100 {
			wait := lull(first, limit, failing)
			require.LessOrEqual(t, wait, most)
			require.GreaterOrEqual(t, wait, most/2)
		}
	}
}
