package bridge

import (
	"context"
	"errors"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"

	"causeway/interop"
	"causeway/network"
)

const stepRegion = "causeway.interop.region"

// errRegionLate is a login whose region was not confirmed in time.
var errRegionLate = errors.New("the link to the region page was not used in time")

// regionWait is a login that waits until its user has confirmed where they are.
type regionWait struct {
	consent interop.Consent
	link    string
	inside  <-chan bool
}

// askRegion is the step of a login that sends the user to the region page.
func (f *loginFlow) askRegion(consent interop.Consent) *bridgev2.LoginStep {
	f.region = &regionWait{consent: consent}
	f.region.link, f.region.inside = f.registrar.RegionLink(consent)
	return &bridgev2.LoginStep{
		Type: bridgev2.LoginStepTypeDisplayAndWait, StepID: stepRegion,
		Instructions:         textRegionLogin(f.region.link),
		DisplayAndWaitParams: &bridgev2.LoginDisplayAndWaitParams{Type: bridgev2.LoginDisplayTypeNothing},
	}
}

// Wait implements [bridgev2.LoginProcessDisplayAndWait]: it ends with the page's decision.
func (f *loginFlow) Wait(ctx context.Context) (*bridgev2.LoginStep, error) {
	if f.region == nil {
		return nil, replyOf(errRegionLate, f.product.network)
	}
	patience := time.NewTimer(interop.RegionLinkLife)
	defer patience.Stop()
	select {
	case inside := <-f.region.inside:
		if !inside {
			return nil, replyOf(interop.ErrOutside, f.product.network)
		}
		return f.enlist(ctx, f.region.consent)
	case <-patience.C:
		return nil, replyOf(errRegionLate, f.product.network)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// confirmRegion gives users links to the region page.
func (c *Connector) confirmRegion(ce *commands.Event) {
	if c.provider == nil || !c.provider.RegionByPage() {
		ce.Reply(textRegionNoNeed)
		return
	}
	logins := interopLogins(ce.User)
	for _, login := range logins {
		client, _ := clientOf(login.Client)
		link, err := c.provider.RegionLinkOf(ce.Ctx, client.self)
		if err != nil {
			ce.Reply("%s", replyOf(err, client.self.Network))
			continue
		}
		ce.Reply("%s", textRegionLink(client.self.Network, link))
	}
	if len(logins) == 0 {
		ce.Reply(textRegionNobody)
	}
}

// regionDue asks the user to confirm where they are, and not to let it wait.
func (c *Connector) regionDue(login network.Address, until time.Time) {
	c.called(func(client *Client) { client.tellUser(textRegionDue(login.Network, until)) })(login)
}

// regionLost ends the connection of a login whose user is not, or not surely, in the region. That is said again and again.
func (c *Connector) regionLost(login network.Address, err error) {
	c.called(func(client *Client) {
		client.mutex.Lock()
		known := client.state.State == network.Refused && errors.Is(client.state.Err, err)
		client.mutex.Unlock()
		if !known {
			client.turnedAway(err)
		}
	})(login)
}

// regionConfirmed lets a login go on that was turned away for its region, by us or by the network.
func (c *Connector) regionConfirmed(login network.Address) {
	c.called(func(client *Client) {
		client.mutex.Lock()
		away := client.state.State == network.Refused && errors.Is(client.state.Err, network.ErrRegion)
		client.mutex.Unlock()
		if away {
			client.reopen()
		}
		c.active(client.login.UserMXID)
	})(login)
}
