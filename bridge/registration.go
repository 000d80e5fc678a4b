package bridge

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

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
	registration.Namespaces.UserIDs.Register(usersOf(domain), false)
}

func usersOf(domain string) *regexp.Regexp {
	return regexp.MustCompile("^@.*:" + regexp.QuoteMeta(domain) + "$")
}

// covers says whether the registration in a file covers a homeserver's users. One that is not there is with the homeserver only.
func covers(path, domain string) (bool, error) {
	registration, err := appservice.LoadRegistration(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("failed to read the registration: %w", err)
	}
	return slices.ContainsFunc(registration.Namespaces.UserIDs, func(n appservice.Namespace) bool {
		return n.Regex == usersOf(domain).String()
	}), nil
}

func wholeServer(main *mxmain.BridgeMain) bool {
	connector, ok := main.Connector.(*Connector)
	return ok && connector.CoversUsers()
}

// puppetUsers has bridgev2 act as the homeserver's users by the bridge's own token. What the operator set for them counts more.
func (c *Connector) puppetUsers(config *bridgeconfig.Config, registration string) error {
	if !c.CoversUsers() {
		return nil
	}
	if covered, err := covers(registration, config.Homeserver.Domain); err != nil {
		return err
	} else if !covered {
		return fmt.Errorf("network.double_puppets: %s does not cover the users of %s; make it anew with -g and give it to the homeserver, or set the key to false",
			registration, config.Homeserver.Domain)
	}
	if config.DoublePuppet.Secrets[config.Homeserver.Domain] != "" {
		return nil
	}
	if config.DoublePuppet.Secrets == nil {
		config.DoublePuppet.Secrets = map[string]string{}
	}
	config.DoublePuppet.Secrets[config.Homeserver.Domain] = ownToken + config.AppService.ASToken
	return nil
}
