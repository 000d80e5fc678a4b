package delivery

import "time"

// Timing is how long delivery waits for what. The zero value of a field means its default.
type Timing struct {
	// RetryFirst and RetryLimit bound the wait between tries towards Matrix: 1 s, 5 min.
	RetryFirst, RetryLimit time.Duration
	// ResendFirst and ResendLimit bound the wait between tries towards a network: 2 s, 60 s.
	ResendFirst, ResendLimit time.Duration
	// Settle is how long a homeserver may still be busy with a request whose answer we did not get: 5 s.
	Settle time.Duration
	// Delayed is the age at which the author of an unsent message is told that it takes longer: 60 s.
	Delayed time.Duration
	// MaxAge is the age at which an unsent message is given up, as late is worse than failed: 24 h.
	MaxAge time.Duration
	// Hold is how long an event waits for the message that it changes: 24 h.
	Hold time.Duration
	// Ask is how long a message may take that was lost here and asked for again, before something stands in its place: 2 min.
	Ask time.Duration
	// Keys is how long a Matrix event waits for its room key in its room's queue: 30 s.
	Keys time.Duration
	// Excuse is how long a Matrix event is handled again because the database fails bridgev2; then its author is told: 2 min.
	Excuse time.Duration
	// Retention is how long the keys of ended rows stay, so that repeats are known: 30 days.
	Retention time.Duration
	// Quarantine is how long the content of what failed stays, so that it can be tried again: 30 days.
	Quarantine time.Duration
	// FilePatience is how long tries to send one file may hold up its chat, all together: 10 min.
	FilePatience time.Duration
	// Look is how often the lanes look into the database for rows that were given back to them, and DiskCheck how often
	// the free space of the disk is looked at: 5 s, 10 s.
	Look, DiskCheck time.Duration
	// Upkeep is how often old rows are deleted and overdue ones released: 1 min.
	Upkeep time.Duration
	// Tries is how often an event is tried that fails for a reason that time does not mend: 3.
	Tries int
	// DeadlyTries is how many processes may end with an event under way before it is taken for the cause: 25. It is
	// high, since a process that ends for another reason always has innocent events under way.
	DeadlyTries int
	// InboxLimit and MatrixLimit are how many events may wait, of one login and of all rooms: 50,000 and 100,000.
	InboxLimit, MatrixLimit int
}

func (t Timing) withDefaults() Timing {
	orDuration := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	orInt := func(i *int, value int) {
		if *i == 0 {
			*i = value
		}
	}
	orDuration(&t.RetryFirst, time.Second)
	orDuration(&t.RetryLimit, 5*time.Minute)
	orDuration(&t.ResendFirst, 2*time.Second)
	orDuration(&t.ResendLimit, time.Minute)
	orDuration(&t.Settle, 5*time.Second)
	orDuration(&t.Delayed, time.Minute)
	orDuration(&t.MaxAge, 24*time.Hour)
	orDuration(&t.Hold, 24*time.Hour)
	orDuration(&t.Ask, 2*time.Minute)
	orDuration(&t.Keys, 30*time.Second)
	orDuration(&t.Excuse, 2*time.Minute)
	orDuration(&t.Retention, 30*24*time.Hour)
	orDuration(&t.Quarantine, 30*24*time.Hour)
	orDuration(&t.FilePatience, 10*time.Minute)
	orDuration(&t.Look, 5*time.Second)
	orDuration(&t.DiskCheck, 10*time.Second)
	orDuration(&t.Upkeep, time.Minute)
	orInt(&t.Tries, 3)
	orInt(&t.DeadlyTries, 25)
	orInt(&t.InboxLimit, 50_000)
	orInt(&t.MatrixLimit, 100_000)
	return t
}
