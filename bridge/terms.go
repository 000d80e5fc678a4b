package bridge

import (
	"context"
	"slices"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/wire"
)

// beginAgain shows the terms to a user with a standing account once they have changed, and puts it on the new ones; until then
// there is nothing to log in to.
func (c *Connector) beginAgain(user *bridgev2.User, p product) (bridgev2.LoginProcess, error) {
	for _, login := range user.GetUserLogins() {
		if client, changed := c.termsChanged(login); changed && client.self.Network == p.network {
			return &loginFlow{registrar: c.provider, product: p, user: user.MXID, establish: func(ctx context.Context, a application) (*bridgev2.UserLogin, error) {
				return login, client.renew(ctx, a)
			}}, nil
		}
	}
	return nil, replyOf(errLoggedInAlready, p.network)
}

// termsChanged says whether a login is a standing third-party account whose user has agreed to other terms than today's.
func (c *Connector) termsChanged(login *bridgev2.UserLogin) (*Client, bool) {
	client, ok := clientOf(login.Client)
	if !ok || client.linked() || c.provider == nil || !login.Client.IsLoggedIn() {
		return nil, false
	}
	changed, _, err := c.provider.TermsChanged(login.Log.WithContext(c.bridge.BackgroundCtx), client.self)
	if err != nil {
		login.Log.Err(err).Msg("Failed to look whether the terms have changed")
	}
	return client, changed
}

// renew puts the account on a newer consent; its connection, its keys and its rooms stay as they are.
func (c *Client) renew(ctx context.Context, a application) error {
	ctx, cancel := context.WithTimeout(ctx, enlistTimeout)
	defer cancel()
	keys, err := wire.LoadKeys(ctx, c.connector.db.SignalStore(c.self.String()))
	if err != nil {
		return err
	}
	return c.connector.provider.Renew(ctx, c.self, a.consent.ID, keys.Public().Noise)
}

// tellTerms tells the user, once for each version, that the terms have changed since they agreed.
func (c *Client) tellTerms() {
	if c.linked() || c.connector.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.login.Log.WithContext(c.connector.bridge.BackgroundCtx), tellTimeout)
	defer cancel()
	changed, version, err := c.connector.provider.TermsChanged(ctx, c.self)
	if err != nil {
		c.login.Log.Err(err).Msg("Failed to look whether the terms have changed")
	}
	if err != nil || !changed || !c.firstWord(ctx, "terms "+version) {
		return
	}
	c.tellUser(textTermsChanged(c.self.Network, version, c.product.flow))
}

// firstWord says whether the user has not been told of something yet, and remembers that they are now.
func (c *Client) firstWord(ctx context.Context, what string) (first bool) {
	c.remembering(ctx, func(metadata *LoginMetadata) bool {
		first = !slices.Contains(metadata.Told, what)
		if first {
			metadata.Told = append(metadata.Told, what)
		}
		return first
	})
	return first
}
