package bridge

import (
	"errors"
	"slices"
	"strings"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/bridgev2/matrix"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/provisionutil"

	"causeway/delivery"
	"causeway/network"
	"causeway/puppet"
)

// confirmPatience is how long a question about something that cannot be undone stays open.
const confirmPatience = 2 * time.Minute

// registerCommands adds our commands and replaces those of bridgev2 that would say too little.
func (c *Connector) registerCommands() {
	processor, ok := c.bridge.Commands.(*commands.Processor)
	if !ok {
		return
	}
	processor.AddHandlers(c.contactCommands()...)
	processor.AddHandlers(c.safetyCommands()...)
	processor.AddHandlers(c.linkedCommands()...)
	processor.AddHandlers(c.fateCommands()...)
	processor.AddHandlers(
		&commands.FullHandler{Func: c.login(commands.CommandLogin.Func), Name: commands.CommandLogin.Name,
			Help: commands.CommandLogin.Help, RequiresLoginPermission: true},
		&commands.FullHandler{Func: c.login(commands.CommandRelogin.Func), Name: commands.CommandRelogin.Name,
			Help: commands.CommandRelogin.Help, RequiresLoginPermission: true},
		&commands.FullHandler{Func: c.startChat, Name: commands.CommandStartChat.Name, Aliases: commands.CommandStartChat.Aliases,
			Help: commands.HelpMeta{Section: commands.HelpSectionChats, Args: "[_login ID_] <_phone number_>",
				Description: "Start a chat with somebody by phone number, such as +4915112345678."}, RequiresLogin: true},
		&commands.FullHandler{Func: c.reconnect, Name: "reconnect", RequiresLogin: true, Help: commands.HelpMeta{
			Section: commands.HelpSectionAuth, Description: "Close and open the connections of your logins."}},
		&commands.FullHandler{Func: c.confirmRegion, Name: "confirm-region", Help: commands.HelpMeta{
			Section: commands.HelpSectionAuth, Description: "Get a link by which you confirm that you are in the European Economic Area."}},
		&commands.FullHandler{Func: c.consent, Name: "consent", Help: commands.HelpMeta{
			Section: commands.HelpSectionAuth, Args: "[show|withdraw|export|erase]",
			Description: "Show what you agreed to, end your third-party account, get what is kept about you, or have it erased."}},
	)
}

// composeCommands replaces the commands that know the Matrix side by its concrete type.
func composeCommands(processor *commands.Processor, m *delivery.Matrix) {
	discard, level, puppets := *matrix.CommandDiscardMegolmSession, *matrix.CommandSetPowerLevel, *matrix.CommandPingMatrix
	discard.Func = func(ce *commands.Event) {
		if m.Crypto == nil {
			ce.Reply(textCryptoOff)
			return
		}
		m.Crypto.ResetSession(ce.Ctx, ce.RoomID)
		ce.Reply(textSessionDropped)
	}
	level.Func = func(ce *commands.Event) {
		plain := *ce
		plain.Bot = m.Connector.BotIntent()
		matrix.CommandSetPowerLevel.Func(&plain)
	}
	puppets.Func = pingPuppet
	processor.AddHandlers(&discard, &level, &puppets)
}

// pingPuppet says whether the user's own Matrix account can be acted with.
func pingPuppet(ce *commands.Event) {
	intent, ok := ce.User.DoublePuppet(ce.Ctx).(*delivery.Intent)
	if !ok {
		ce.Reply(textNoPuppet)
		return
	}
	who, err := intent.Matrix.Whoami(ce.Ctx)
	if err != nil {
		ce.Log.Err(err).Msg("The homeserver does not accept a double puppet's token")
		ce.Reply(textPuppetRefused)
		return
	}
	ce.Reply(textPuppetWorks, who.UserID)
}

// login explains why nobody can log in where that is so, and otherwise is bridgev2's.
func (c *Connector) login(usual func(*commands.Event)) func(*commands.Event) {
	return func(ce *commands.Event) {
		if text, refused := c.refuseLogin(ce.Args, ce.User.Permissions.Admin); refused {
			ce.Reply(text)
			return
		}
		again := slices.ContainsFunc(ce.User.GetUserLogins(), func(login *bridgev2.UserLogin) bool {
			_, changed := c.termsChanged(login)
			return changed
		})
		if taken := c.takenBy(ce.User.GetUserLogins()); taken != "" && !again {
			ce.Reply("%s", replyOf(errLoggedInAlready, taken))
			return
		}
		usual(ce)
	}
}

// takenBy is the network of a user who has a standing login wherever one is offered, empty if there is something left to log in to.
func (c *Connector) takenBy(logins []*bridgev2.UserLogin) (last network.Network) {
	for _, p := range c.products {
		switch {
		case !p.offered(&c.config):
			continue
		case p.linked():
			return "" // of these a user may have several
		}
		if !hasLogin(logins, p.network) {
			return ""
		}
		last = p.network
	}
	return last
}

// refuseLogin says why a login cannot succeed, if it is known beforehand.
func (c *Connector) refuseLogin(args []string, admin bool) (string, bool) {
	flows := c.GetLoginFlows()
	asked := func(id string) bool { return len(args) > 0 && strings.EqualFold(args[0], id) }
	listed := slices.ContainsFunc(flows, func(f bridgev2.LoginFlow) bool { return asked(f.ID) })
	known := slices.IndexFunc(c.products, func(p product) bool { return asked(p.flow) })
	switch {
	case len(flows) > 0 && (known < 0 || listed):
		return "", false
	case known >= 0 && c.products[known].linked():
		return replyOf(errLinkedOff, c.products[known].network).Error(), true
	}
	text := textNoFlows(c.config.Interop.Missing(), c.config.Interop.Enabled, admin)
	if c.config.Linked.Enabled {
		text += " " + textInstead
	}
	return text, true
}

// startChat is bridgev2's command in our words: an answer that says what to do next, without an error's prefix.
func (c *Connector) startChat(ce *commands.Event) {
	login, args := chosenLogin(ce)
	if len(args) == 0 {
		usage := textStartChatUsage
		if c.config.Interop.Offers(network.Messenger) {
			usage += textStartChatMessenger
		}
		ce.Reply(usage)
		return
	}
	response, err := provisionutil.ResolveIdentifier(ce.Ctx, login, strings.Join(args, " "), true)
	switch {
	case errors.Is(err, bridgev2.ErrResolveIdentifierTryNext):
		ce.Reply("%s", replyOf(network.ErrBadIdentifier, networkOf(login)))
	case err != nil:
		ce.Reply("%s", err)
	default:
		ce.Reply(textChatReady, response.Portal.Name, response.Portal.MXID.URI(c.bridge.Matrix.ServerName()).MatrixToURL())
	}
}

// networkOf is the network of a login.
func networkOf(login *bridgev2.UserLogin) network.Network {
	address, err := puppet.LoginAddress(login.ID)
	if err != nil {
		return network.WhatsApp
	}
	return address.Network
}

// chosenLogin is the login that the arguments begin with, or else one on the network whose
// people have such identifiers, or else the user's usual one.
func chosenLogin(ce *commands.Event) (*bridgev2.UserLogin, []string) {
	if len(ce.Args) > 1 {
		login := ce.Bridge.GetCachedUserLoginByID(networkid.UserLoginID(ce.Args[0]))
		if login != nil && login.UserMXID == ce.User.MXID {
			return login, ce.Args[1:]
		}
	}
	wanted := likelyNetwork(strings.Join(ce.Args, " "))
	for _, login := range ce.User.GetUserLogins() {
		if isFor(login, wanted) && login.Client.IsLoggedIn() {
			return login, ce.Args
		}
	}
	for _, login := range ce.User.GetUserLogins() {
		if client, ok := clientOf(login.Client); ok && client.linked() && client.self.Network == wanted && login.Client.IsLoggedIn() {
			return login, ce.Args
		}
	}
	return ce.User.GetDefaultLogin(), ce.Args
}

// likelyNetwork is where somebody is who is named like this: with a phone number on
// WhatsApp, with a ghost's id on its network, and by any other name on Messenger.
func likelyNetwork(identifier string) network.Network {
	if address, err := puppet.Address(networkid.UserID(identifier)); err == nil {
		return address.Network
	}
	if strings.HasPrefix(strings.TrimSpace(identifier), "+") {
		return network.WhatsApp
	}
	return network.Messenger
}

func (c *Connector) reconnect(ce *commands.Event) {
	for _, login := range ce.User.GetUserLogins() {
		ce.Reply(textReconnecting, login.RemoteName)
		login.Client.Disconnect()
		login.Client.Connect(login.Log.WithContext(c.bridge.BackgroundCtx))
	}
	c.active(ce.User.MXID)
}
