package main

import (
	"fmt"
	"os"

	"go.mau.fi/util/configupgrade"

	"causeway/bridge"
)

// The exit statuses that bridgev2 has for the same things.
const (
	exitNoUpdate     = 5
	exitNoDomain     = 20
	exitRegistration = 21
	exitTokens       = 22
)

// register writes a registration that covers the homeserver's users beside the bridge's own, and its tokens into the
// configuration. Other registrations are bridgev2's to write: done is false then.
func register(connector *bridge.Connector, args asked) (status int, done bool) {
	if _, err := os.Stat(args.config); err != nil {
		return 0, false // bridgev2 says that there is no configuration
	}
	program := newProgram(connector)
	program.ConfigPath, program.SaveConfig = args.config, !args.noUpdate
	program.LoadConfig()
	if !connector.CoversUsers() {
		return 0, false
	}
	switch {
	case args.noUpdate:
		fmt.Fprintln(os.Stderr, "causeway: --no-update does not go with --generate-registration, whose tokens the configuration must have")
		return exitNoUpdate, true
	case program.Config.Homeserver.Domain == "example.com":
		fmt.Fprintln(os.Stderr, "causeway: homeserver.domain is not set")
		return exitNoDomain, true
	}
	registration := program.Config.GenerateRegistration()
	bridge.CoverUsers(registration, program.Config.Homeserver.Domain)
	if err := registration.Save(args.registration); err != nil {
		fmt.Fprintf(os.Stderr, "causeway: failed to write the registration: %v\n", err)
		return exitRegistration, true
	}
	if err := setTokens(args.config, registration.AppToken, registration.ServerToken); err != nil {
		fmt.Fprintf(os.Stderr, "causeway: failed to write the registration's tokens into the configuration: %v\n", err)
		return exitTokens, true
	}
	fmt.Printf("Wrote %s, which lets the bridge act as all users of %s (network.double_puppets). Give it to the homeserver and restart that.\n",
		args.registration, program.Config.Homeserver.Domain)
	return 0, true
}

// setTokens writes tokens into a configuration and leaves everything else as it is.
func setTokens(path, appToken, serverToken string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, _, err = configupgrade.Do(path, true, &configupgrade.StructUpgrader{
		Base: string(text),
		SimpleUpgrader: func(helper configupgrade.Helper) {
			helper.Set(configupgrade.Str, appToken, "appservice", "as_token")
			helper.Set(configupgrade.Str, serverToken, "appservice", "hs_token")
		},
	})
	return err
}
