package bridge

import (
	"sync"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/network"
)

// fetched counts the bytes of the files that came in chats within a day. It begins anew with the program, and with the day.
type fetched struct {
	mutex sync.Mutex
	day   string
	bytes map[networkid.PortalKey]int64
}

// add counts a file; of adds none of it returns how much there was today.
func (f *fetched) add(chat networkid.PortalKey, size int64, now time.Time) int64 {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if today := now.UTC().Format(time.DateOnly); f.day != today {
		f.day, f.bytes = today, make(map[networkid.PortalKey]int64)
	}
	f.bytes[chat] += size
	return f.bytes[chat]
}

// overQuota says why a file of a person is not fetched, empty if it is. The files of the user's own account are on their phone anyway.
func (c *Client) overQuota(room *bridgev2.Portal, media network.Media) string {
	if c.linked() || media.Reference == nil && media.Size == 0 { // the latter is of our own making
		return ""
	}
	limits, reason := c.connector.config.Delivery.People, textFileQuota
	limit := int64(limits.Files)
	if room.MessageRequest || metadataOf(room).Reserved() {
		limit, reason = int64(limits.StrangersFiles), textFileStranger
	}
	if limit > 0 && c.connector.fetched.add(room.PortalKey, 0, time.Now())+max(media.Size, 0) > limit {
		return reason
	}
	return ""
}
