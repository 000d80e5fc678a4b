package interop

import (
	"sync"
	"time"
)

// maxAddresses bounds the memory that strangers can make us use.
const maxAddresses = 10_000

// limiter is a token bucket for all requests and one for each address.
type limiter struct {
	now func() time.Time

	mutex     sync.Mutex
	all       bucket
	addresses map[string]*bucket
}

// bucket holds what may still be asked, as of a moment.
type bucket struct {
	left float64
	at   time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, all: bucket{left: requestsPerSecond, at: now()}, addresses: make(map[string]*bucket)}
}

// allow takes one request out of both buckets if neither is empty.
func (l *limiter) allow(address string) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	now := l.now()
	own := l.addresses[address]
	if own == nil {
		if len(l.addresses) >= maxAddresses {
			l.forget(now)
		}
		own = &bucket{left: requestsPerMinutePerAddress, at: now}
		l.addresses[address] = own
	}
	own.fill(now, requestsPerMinutePerAddress/60.0, requestsPerMinutePerAddress)
	l.all.fill(now, requestsPerSecond, requestsPerSecond)
	if own.left < 1 || l.all.left < 1 {
		return false
	}
	own.left--
	l.all.left--
	return true
}

// giveBack undoes what allow took out of an address's own bucket.
func (l *limiter) giveBack(address string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if own := l.addresses[address]; own != nil {
		own.left = min(requestsPerMinutePerAddress, own.left+1)
	}
}

// forget drops the addresses whose bucket is full again, or all if none is: the
// bucket for all still holds then.
func (l *limiter) forget(now time.Time) {
	for address, own := range l.addresses {
		if own.fill(now, requestsPerMinutePerAddress/60.0, requestsPerMinutePerAddress); own.left >= requestsPerMinutePerAddress {
			delete(l.addresses, address)
		}
	}
	if len(l.addresses) >= maxAddresses {
		clear(l.addresses)
	}
}

func (b *bucket) fill(now time.Time, perSecond, limit float64) {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.left, b.at = min(limit, b.left+passed*perSecond), now
	}
}
