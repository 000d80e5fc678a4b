//go:build failpoint

package failpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Enabled says whether this build has failpoints.
const Enabled = true

// The environment variables that arm the points of a process.
const (
	// EnvSchedule holds a schedule as [Arm] reads it.
	EnvSchedule = "CAUSEWAY_FAILPOINTS"
	// EnvSeed holds the decimal seed for probabilities, zero by default.
	EnvSeed = "CAUSEWAY_FAILPOINT_SEED"
	// EnvWithout holds the names of means that the process does without, separated by commas.
	EnvWithout = "CAUSEWAY_WITHOUT"
)

// rule says what happens at one point.
type rule struct {
	action string
	wait   time.Duration
	// at is the number of the hit that fires, counted from one; zero means each hit by chance.
	at     int
	chance float64
	hits   int
}

// schedule is the process's one set of armed points. A global, since the points
// lie everywhere and the build exists for tests alone.
type schedule struct {
	once  sync.Once
	lock  sync.Mutex
	rules map[string]*rule
	rand  *rand.Rand
}

var armed schedule

// Arm replaces the schedule: entries "NAME=ACTION" separated by commas. ACTION is kill, error,
// panic or sleep:DURATION, followed by "#N" (fire at the N-th hit only) or "~P" (fire each
// time with probability P); with neither, each hit fires. An empty text disarms all points.
func Arm(text string, seed uint64) error {
	rules, err := parse(text)
	if err != nil {
		return err
	}
	armed.once.Do(func() {})
	armed.lock.Lock()
	defer armed.lock.Unlock()
	armed.rules, armed.rand = rules, rand.New(rand.NewPCG(seed, seed))
	return nil
}

func parse(text string) (map[string]*rule, error) {
	rules := map[string]*rule{}
	for _, entry := range strings.Split(text, ",") {
		if entry == "" {
			continue
		}
		name, rest, ok := strings.Cut(entry, "=")
		r := &rule{chance: 1}
		var err error
		if action, number, found := strings.Cut(rest, "#"); found {
			rest = action
			r.at, err = strconv.Atoi(number)
		} else if action, number, found := strings.Cut(rest, "~"); found {
			rest = action
			r.chance, err = strconv.ParseFloat(number, 64)
		}
		if err == nil {
			if action, length, found := strings.Cut(rest, ":"); found {
				rest = action
				r.wait, err = time.ParseDuration(length)
			}
		}
		r.action = rest
		known := r.action == "kill" || r.action == "error" || r.action == "panic" || r.action == "sleep"
		if !ok || err != nil || !known {
			return nil, fmt.Errorf("failpoint %q: want NAME=kill|error|panic|sleep:DURATION with #N or ~P", entry)
		}
		rules[name] = r
	}
	return rules, nil
}

// Hit marks that the program has come by a point, and does what the schedule says. The error is
// [ErrInjected] or nil; code that has no error to return there may ignore it.
func Hit(name string) error {
	armed.once.Do(armFromEnvironment)
	r := fire(name)
	if r == nil {
		return nil
	}
	switch r.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "panic":
		panic("failpoint " + name)
	case "sleep":
		time.Sleep(r.wait)
		return nil
	default:
		return fmt.Errorf("%w: %s", ErrInjected, name)
	}
}

// Without says whether a means is taken away from this process.
func Without(means string) bool {
	return slices.Contains(strings.Split(os.Getenv(EnvWithout), ","), means)
}

func armFromEnvironment() {
	seed, _ := strconv.ParseUint(os.Getenv(EnvSeed), 10, 64)
	rules, err := parse(os.Getenv(EnvSchedule))
	if err != nil {
		panic(err)
	}
	armed.rules, armed.rand = rules, rand.New(rand.NewPCG(seed, seed))
}

// fire counts a hit and returns the rule if its moment has come.
func fire(name string) *rule {
	armed.lock.Lock()
	defer armed.lock.Unlock()
	r := armed.rules[name]
	if r == nil {
		return nil
	}
	r.hits++
	if r.at > 0 && r.hits != r.at || r.at == 0 && armed.rand.Float64() >= r.chance {
		return nil
	}
	return r
}
