package bridge

import (
	"regexp"

	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/bridgev2/bridgeconfig"
	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
)

// ownToken begins a secret of double_puppet.secrets that is an application service's token.
const ownToken = "as_token:"

// CoversUsers says whether the registration has to cover the homeserver's own users.
func (c *Connector) CoversUsers() bool { return c.config.DoublePuppets }

// CoverUsers makes a registration cover all users of a homeserver beside the bridge's own, who stay the bridge's alone.
func CoverUsers(registration *appservice.Registration, domain string) {
	registration.Namespaces.UserIDs.Register(regexp.MustCompile("^@.*:"+regexp.QuoteMeta(domain)+"$"), false)
}

func wholeServer(main *mxmain.BridgeMain) bool {
	connector, ok := main.Connector.(*Connector)
	return ok && connector.CoversUsers()
}

// puppetUsers has bridgev2 act as the homeserver's users by the bridge's own token. What the operator set for them counts more.
func (c *Connector) puppetUsers(config *bridgeconfig.Config) {
	if !c.CoversUsers() || config.DoublePuppet.Secrets[config.Homeserver.Domain] != "" {
		return
	}
	if config.DoublePuppet.Secrets == nil {
		config.DoublePuppet.Secrets = map[string]string{}
	}
	config.DoublePuppet.Secrets[config.Homeserver.Domain] = ownToken + config.AppService.ASToken
}
