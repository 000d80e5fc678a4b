package crash

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/simulator/homeserver"
	"causeway/simulator/meta"
)

const (
	integrator = 12
	// mediaPath and pushPath are where the network finds the provider's files and calls it.
	mediaPath, pushPath = "/media", "/interop/push"
	pushSecret          = "only for tests: thirty-two characters"
	// userName and applicantName begin the names of users who are there from the start and of those who come later.
	userName, applicantName = "user", "applicant"
	setupLimit              = 2 * time.Minute
	// filesLimit bounds the opening of all files on the phones.
	filesLimit = 10 * time.Minute
	pollEvery  = 20 * time.Millisecond
)

// world is everything but the bridge's process.
type world struct {
	options Options
	net     *meta.Network
	hs      *homeserver.Server
	stage   *stage.Stage
	watch   *watch
	users   []*user
	people  []*meta.Person
	chats   []*chat
	dropDB  func() error
	// admin is a connection of our own to the bridge's database, nil with SQLite.
	admin   *sql.DB
	proxies []func()
}

// user is a Matrix user with an account on the network.
type user struct {
	name, id, token string
	// botRoom is the chat with the bot, empty until there is one: the bot listens to the first only.
	botRoom id.RoomID
	// jid is the address on the network.
	jid string
	// phone is the one whose account is linked; nil with third-party accounts.
	phone *meta.Person
}

// chat is a conversation of a user with a person.
type chat struct {
	name   string
	user   *user
	person *meta.Person
	// room is the chat's room, empty until it is known.
	room string
}

// open starts both sides and configures the bridge.
func open(ctx context.Context, options Options) (w *world, err error) {
	w = &world{options: options}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	w.net, err = meta.New(meta.Profile(options.Profile), meta.Seed(int64(options.Seed)), meta.MessageRate(0),
		meta.LookupRate(1_000_000, 1_000_000), meta.Logf(func(string, ...any) {}))
	if err != nil {
		return w, err
	}
	if w.hs, err = homeserver.New(); err != nil {
		return w, err
	}
	provider, err := stage.ProviderURL()
	if err != nil {
		return w, err
	}
	if err = w.net.AddIntegrator(meta.Integrator{ID: integrator, Name: "Causeway", IdentifierType: "email", Issuer: provider,
		MediaBase: provider + mediaPath, PushURL: provider + pushPath, PushSecret: pushSecret}); err != nil {
		return w, err
	}
	address, err := w.homeserverURL()
	if err != nil {
		return w, err
	}
	driver, uri, err := w.database(ctx)
	if err != nil {
		return w, err
	}
	w.stage, err = stage.Furnish(ctx, stage.Options{
		Binary: options.Binary, Dir: options.Dir, ProviderURL: provider,
		Network: stage.Network{
			ChatHost: w.net.ChatAddr(), Root: w.net.Root(), ChatURL: w.net.ChatURL(),
			EnlistmentURL: w.net.EnlistmentURL(), MetaIssuer: w.net.MetaIssuer(), Integrator: integrator,
		},
		Edit: func(config stage.Config) {
			config.Set("database.type", driver)
			config.Set("database.uri", uri)
			config.Set("network.interop.media.base_url", provider+mediaPath)
			config.Set("network.interop.push.secret", pushSecret)
			config.Set("network.interop.products", []string{"whatsapp", "messenger"})
			config.Set("network.linked.history.enabled", false) // what phones hand over keeps rooms waiting
			config.Set("network.interop.reactions", "on")
			config.Set("matrix.message_status_events", true)
			config.Set("network.delivery.flood.rate", 0) // the talk is faster than people's
			config.Set("network.delivery.people.rate", 0)
			if options.Edit != nil {
				options.Edit(config)
			}
		},
	}, address)
	if err != nil {
		return w, err
	}
	for _, path := range w.stage.Registrations() {
		if err = w.register(ctx, path); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) close() (err error) {
	if w.net != nil {
		w.net.Close()
	}
	if w.hs != nil {
		w.hs.Close()
	}
	for _, end := range w.proxies {
		end()
	}
	if w.dropDB != nil {
		err = w.dropDB()
	}
	return err
}

// settle brings users and people in and opens a chat for each pair, while the bridge runs undisturbed.
func (w *world) settle(ctx context.Context, l *life) error {
	ctx, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	if err := w.await(ctx, "the bridge", func() bool { return stage.Ready(l.process) }); err != nil {
		return err
	}
	for i := range w.options.People {
		if _, err := w.newPerson(fmt.Sprintf("person%d", i+1)); err != nil {
			return err
		}
	}
	for i := range w.options.Users {
		account := w.hs.Register(fmt.Sprint(userName, i+1), "a password")
		u := &user{name: fmt.Sprint(userName, i+1), id: account.UserID, token: account.Token}
		w.users = append(w.users, u)
		if err := w.asUser(ctx, u, func(bot *client.Bot) error { return w.prepare(ctx, u, i, bot) }); err != nil {
			return err
		}
	}
	return nil
}

// prepare enlists a user and opens their chats.
func (w *world) prepare(ctx context.Context, u *user, number int, bot *client.Bot) error {
	if err := w.enlist(ctx, u, bot); err != nil {
		return err
	}
	for i, person := range w.people {
		c := &chat{name: fmt.Sprintf("%s-%s", u.name, person.Name()), user: u, person: person}
		w.chats = append(w.chats, c)
		if (number+i)%2 != 0 {
			continue // begun by the person's first words, in mid-run
		}
		if err := w.startChat(ctx, c, bot); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) newPerson(name string) (*meta.Person, error) {
	number, person := len(w.people)+1, (*meta.Person)(nil)
	if w.options.Flow == Messenger {
		person = w.net.Messenger(fmt.Sprintf("100000%09d", number), name)
	} else {
		person = w.net.WhatsApp(fmt.Sprintf("+4915110%06d", number), name)
	}
	w.people = append(w.people, person)
	if w.options.Flow == Linked {
		return person, nil
	}
	return person, person.OptIn(integrator)
}

// newcomer is somebody who has never been in touch with any of the users, in a chat that has no room yet.
func (w *world) newcomer(to *user) (*chat, error) {
	person, err := w.newPerson(fmt.Sprintf("person%d", len(w.people)+1))
	if err != nil {
		return nil, err
	}
	c := &chat{name: fmt.Sprintf("%s-%s", to.name, person.Name()), user: to, person: person}
	w.chats = append(w.chats, c)
	return c, nil
}

// enlist takes a Matrix user through the login flow.
func (w *world) enlist(ctx context.Context, u *user, bot *client.Bot) error {
	if err := w.logIn(ctx, u, bot); err != nil {
		return err
	}
	return w.await(ctx, u.name+" to be connected", func() bool { return w.connected(u) })
}

func (w *world) logIn(ctx context.Context, u *user, bot *client.Bot) error {
	switch w.options.Flow {
	case Linked:
		return w.link(ctx, u, bot)
	case Messenger:
		return stage.EnlistWith(ctx, bot, string(Messenger), "Messenger")
	}
	return stage.Enlist(ctx, bot)
}

// link has a user link the account of their phone.
func (w *world) link(ctx context.Context, u *user, bot *client.Bot) error {
	u.phone = w.net.WhatsApp(fmt.Sprintf("+4915120%06d", len(w.users)), u.name)
	u.jid = u.phone.LID()
	if err := bot.Tell(ctx, "login "+string(Linked)); err != nil {
		return err
	}
	code, err := bot.WaitForCode(ctx)
	if err != nil {
		return err
	}
	if _, err = u.phone.ScanQR(ctx, code); err != nil {
		return fmt.Errorf("failed to scan the code: %w", err)
	}
	_, err = bot.WaitForAnswer(ctx, "linked to")
	return err
}

// connected says whether a user is enlisted and the bridge connected for them.
func (w *world) connected(u *user) bool {
	if u.phone != nil {
		return slices.ContainsFunc(u.phone.LinkedDevices(), func(d meta.LinkedDevice) bool { return d.Connected })
	}
	for _, enlistment := range w.net.Enlistments() {
		if enlistment.Identifier == u.name+"@"+w.hs.Name() {
			u.jid = enlistment.JID
		}
	}
	return slices.ContainsFunc(w.net.Connections(), func(c meta.ConnInfo) bool { return u.jid != "" && c.JID == u.jid && c.Active })
}

// startChat asks the bot for a chat.
func (w *world) startChat(ctx context.Context, c *chat, bot *client.Bot) error {
	if err := bot.Tell(ctx, "start-chat "+cmp.Or(c.person.Phone(), c.person.FBID())); err != nil {
		return err
	}
	if _, err := bot.WaitForAnswer(ctx, "chat is ready"); err != nil {
		return err
	}
	return w.await(ctx, "the room with "+c.person.Name(), func() bool {
		w.learnRooms()
		return c.room != ""
	})
}

// eventOf is the event that a line has become.
func (w *world) eventOf(text string) string {
	w.watch.mu.Lock()
	defer w.watch.mu.Unlock()
	return w.watch.seen[text]
}

// asUser opens a client of the user and a chat with the bot for as long as do runs.
func (w *world) asUser(ctx context.Context, u *user, do func(*client.Bot) error) error {
	matrix, err := mautrix.NewClient(w.hs.URL(), id.UserID(u.id), u.token)
	if err != nil {
		return fmt.Errorf("failed to open a client for %s: %w", u.id, err)
	}
	c, err := client.Open(ctx, matrix)
	if err != nil {
		return err
	}
	defer c.Close()
	botID := id.UserID(w.stage.BotID)
	if u.botRoom == "" {
		created, err := c.Matrix.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "trusted_private_chat", Invite: []id.UserID{botID}, IsDirect: true})
		if err != nil {
			return fmt.Errorf("failed to open a chat with the bot: %w", err)
		}
		u.botRoom = created.RoomID
	}
	bot, err := c.BotIn(ctx, u.botRoom, botID)
	if err != nil {
		return err
	}
	return do(bot)
}

// await asks again and again until something holds.
func (w *world) await(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
	return nil
}
