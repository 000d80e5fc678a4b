package failpoint

// The means that a build with failpoints can do without. A run without one must go wrong, or whatever watches it sees
// nothing: see [Without].
const (
	// Journal: what a network brings is on disk before it is acknowledged. Without it, it waits in memory.
	Journal = "journal"
	// SteadyIDs: a message has one id at all tries. Without it each try makes one.
	SteadyIDs = "steady-ids"
	// Guard: one at a time uses a Signal session. Without it nobody waits for anybody.
	Guard = "guard"
)
