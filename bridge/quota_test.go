package bridge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"

	"causeway/network"
	"causeway/portal"
)

// Somebody whom the user has not accepted may fill little of the homeserver's disk, and everybody a bounded part of it in a day.
func TestFilesOfStrangersAreBounded(t *testing.T) {
	self := network.Interop(network.WhatsApp, 12, "105012705411308")
	limits := PeopleConfig{Files: 1000, StrangersFiles: 100}
	c := &Client{self: self, connector: &Connector{config: Config{Delivery: DeliveryConfig{People: limits}}}}
	stranger := &bridgev2.Portal{Portal: &database.Portal{
		PortalKey: portal.Key(network.LID("90000000000001"), self), MessageRequest: true, Metadata: &portal.Metadata{},
	}}
	file := func(size int64) network.Media { return network.Media{Reference: []byte("somewhere"), Size: size} }
	require.Empty(t, c.overQuota(stranger, file(60)))
	c.connector.fetched.add(stranger.PortalKey, 60, time.Now())
	require.Equal(t, textFileStranger, c.overQuota(stranger, file(60)))
	require.Empty(t, c.overQuota(stranger, file(40)))
	other := &bridgev2.Portal{Portal: &database.Portal{PortalKey: portal.Key(network.LID("90000000000002"), self), MessageRequest: true, Metadata: &portal.Metadata{}}}
	require.Empty(t, c.overQuota(other, file(60)), "each for themselves")

	stranger.MessageRequest = false
	require.Empty(t, c.overQuota(stranger, file(900)))
	require.Equal(t, textFileQuota, c.overQuota(stranger, file(941)))
	require.Empty(t, c.overQuota(stranger, network.Media{}), "what the bridge makes itself")
	require.EqualValues(t, 60, c.connector.fetched.add(stranger.PortalKey, 0, time.Now()))
	require.Zero(t, c.connector.fetched.add(stranger.PortalKey, 0, time.Now().Add(25*time.Hour)), "another day")

	c.connector.config.Delivery.People = PeopleConfig{}
	require.Empty(t, c.overQuota(stranger, file(1<<40)), "no bound")
	c.self, c.connector.config.Delivery.People = network.LID("90000000000003"), limits
	require.Empty(t, c.overQuota(stranger, file(1<<40)), "the user's own account")
}
