package meta

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	xml "go.mau.fi/whatsmeow/binary"
)

// ProfileName is how much a network misbehaves without being told to.
type ProfileName string

// The profiles. Each decision of a profile follows from the seed and from what it is about.
const (
	// Calm does nothing by itself; for load and benches, with scripted faults.
	Calm ProfileName = "calm"
	// Timing shuffles what may be shuffled and delays answers up to 20 ms; for user stories.
	Timing ProfileName = "timing"
	// Faults adds what goes wrong on real networks: duplicates, dropped connections, refusals; for robustness.
	Faults ProfileName = "faults"
)

// ParseProfile reads the name of a profile.
func ParseProfile(name string) (ProfileName, error) {
	switch p := ProfileName(name); p {
	case Calm, Timing, Faults:
		return p, nil
	}
	return "", fmt.Errorf("unknown profile %q: want calm, timing or faults", name)
}

// SetProfile changes the profile, from the next stanza on.
func (n *Network) SetProfile(p ProfileName) { n.profile.Store(p) }

// Profile is the profile in force.
func (n *Network) Profile() ProfileName { return n.profile.Load().(ProfileName) }

// roll is a number in [0,1) that depends on the seed and its arguments only, so that
// goroutines running in another order do not change what happens to a given thing.
func (n *Network) roll(purpose, about string) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%s", n.cfg.seed, purpose, about))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// misfortune decides whether a thing goes wrong at the given rate; only under the faults profile.
func (n *Network) misfortune(purpose, about string, rate float64) bool {
	return n.Profile() == Faults && n.roll(purpose, about) < rate
}

// delay is how long an answer waits under the profile.
func (n *Network) delay(about string) time.Duration {
	switch n.Profile() {
	case Timing:
		return time.Duration(n.roll("delay", about) * float64(20*time.Millisecond))
	case Faults:
		return time.Duration(n.roll("delay", about) * float64(250*time.Millisecond))
	default:
		return 0
	}
}

// disguise adds what the protocol allows and clients must ignore: unknown attributes and children.
func (n *Network) disguise(node xml.Node) xml.Node {
	if n.Profile() == Calm {
		return node
	}
	id := node.Tag + "/" + textOf(node.Attrs["id"])
	if n.roll("attribute", id) < 0.3 {
		node.Attrs = maps.Clone(node.Attrs)
		node.Attrs["weather"] = "sunny"
	}
	if children := node.GetChildren(); node.Tag == "message" && n.roll("child", id) < 0.1 {
		node.Content = append(slices.Clone(children), xml.Node{Tag: "weather", Attrs: xml.Attrs{"v": "1"}})
	}
	return node
}

// count adds one to a named tally, see [Network.Tally].
func (n *Network) count(what string) {
	n.tallyMu.Lock()
	defer n.tallyMu.Unlock()
	n.tally[what]++
}

// Tally tells how often something tolerable was seen: "participants" and "device-identity" in
// messages, "repeated" for messages that came twice under one id.
func (n *Network) Tally(what string) int {
	n.tallyMu.Lock()
	defer n.tallyMu.Unlock()
	return n.tally[what]
}
