package delivery

import (
	"errors"

	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/bridgev2/matrix"
)

// addCommands replaces the commands of the connector that insist on its own types, which they do not meet any more.
func addCommands(m *Matrix) error {
	processor, ok := m.Bridge.Commands.(*commands.Processor)
	if !ok {
		return errors.New("the bridge's commands are of an unknown kind")
	}
	discard, level, ping := *matrix.CommandDiscardMegolmSession, *matrix.CommandSetPowerLevel, *matrix.CommandPingMatrix
	discard.Func = m.discardSession
	level.Func = func(ce *commands.Event) {
		plain := *ce
		plain.Bot = m.Connector.BotIntent()
		matrix.CommandSetPowerLevel.Func(&plain)
	}
	ping.Func = pingMatrix
	processor.AddHandlers(&discard, &level, &ping)
	return nil
}

func (m *Matrix) discardSession(ce *commands.Event) {
	if m.Crypto == nil {
		ce.Reply("This bridge does not use encryption towards Matrix.")
		return
	}
	m.Crypto.ResetSession(ce.Ctx, ce.RoomID)
	ce.Reply("The room's encryption session was discarded. The next message starts a new one.")
}

func pingMatrix(ce *commands.Event) {
	intent, ok := ce.User.DoublePuppet(ce.Ctx).(*Intent)
	if !ok {
		ce.Reply("You have not enabled double puppeting.")
		return
	}
	resp, err := intent.Matrix.Whoami(ce.Ctx)
	if err != nil {
		ce.Reply("The homeserver does not accept the double puppet's token: %v", err)
		return
	}
	ce.Reply("The double puppet works as %s.", resp.UserID)
}
