package crash

import (
	"fmt"
	"io"
	"time"

	"causeway/e2e/stage"
	"causeway/failpoint"
	"causeway/simulator/meta"
)

// Flow is how the users of a run log in, and with it where the people are that they talk to.
type Flow string

// The flows, as users call them. By the last two texts are edited and taken back, too.
const (
	WhatsApp  Flow = "whatsapp-interop"
	Messenger Flow = "messenger-interop"
	Linked    Flow = "whatsapp-qr"
)

// Flows are all flows.
func Flows() []Flow { return []Flow{WhatsApp, Messenger, Linked} }

// Options say what a run does.
type Options struct {
	// Binary is the bridge with failpoints, see [stage.BuildBreakable].
	Binary string
	// Dir is an empty folder for the bridge's files and the record.
	Dir string
	// Seed decides when the bridge is killed and who speaks when.
	Seed uint64
	// Flow is how users log in, [WhatsApp] if empty.
	Flow Flow
	// Profile is how much the network misbehaves by itself.
	Profile meta.ProfileName
	// Postgres is the URL of a database server in which the bridge gets a schema of its own; empty means SQLite.
	Postgres string
	// Users and People talk, each user with each person.
	Users, People int
	// Rate is how many lines are said each second, both directions together.
	Rate float64
	// Patience is how long nothing new may appear before what is missing counts as lost; Silence
	// how long it stays quiet at the end before the run is over.
	Patience, Silence time.Duration
	// Forget makes the homeserver forget the transaction ids that it has seen at each kill.
	Forget bool
	// Control takes one of the bridge's means away; empty for a run that must be good.
	Control Control
	// Edit changes the bridge's configuration; may be nil.
	Edit func(stage.Config)
	// Log takes the progress.
	Log io.Writer
}

// Phase is a part of a run: some lines, and deaths of one kind while they are said.
type Phase struct {
	// Name is the failpoint at which the bridge dies, or [Anywhere] or [Nowhere].
	Name string
	// Lines is how many lines are said, both directions together.
	Lines int
	// Kills is how often the bridge dies.
	Kills int
	// Fault is what goes wrong instead of a death, for the time of Lasts.
	Fault *Fault
	Lasts time.Duration
}

// The phases that are about no failpoint.
const (
	// Anywhere: SIGKILL at random moments, the start included.
	Anywhere = "anywhere"
	// Nowhere: the bridge lives.
	Nowhere = "nowhere"
)

// Points are all failpoints that accounts of a flow come by.
func Points(flow Flow) []string {
	points := []string{
		failpoint.InboxBeforeCommit, failpoint.InboxCommitted, failpoint.SendBefore, failpoint.SendCommitted,
		failpoint.SendUsed, failpoint.InboxBeforeDone, failpoint.RoomCreated, failpoint.RedactOrEdit,
		failpoint.FrontBeforeCommit, failpoint.FrontCommitted, failpoint.FrontAnswered, failpoint.FrontWaitingKeys, failpoint.OutboxWritten,
		failpoint.OutboxBeforeSend, failpoint.OutboxAcked, failpoint.OutboxBeforeMapping, failpoint.OutboxBeforeStatus,
	}
	if flow == Linked {
		return points
	}
	// what is between the library and the network, and the provider's part, are third-party accounts' alone
	return append(points,
		failpoint.FrameRead, failpoint.OpenBefore, failpoint.OpenRatcheted, failpoint.InboxAcked, failpoint.MediaToMatrix, failpoint.FrameWritten, failpoint.MediaToNetwork,
		failpoint.ConsentGiven, failpoint.TokenIssued, failpoint.PushStored, failpoint.MediaStored)
}

// AtPoints are phases that die at each of the points, with some lines each.
func AtPoints(points []string, lines int) (phases []Phase) {
	for _, point := range points {
		phases = append(phases, Phase{Name: point, Lines: lines, Kills: max(2, min(lines/20, 10))})
	}
	return phases
}

func (o Options) withDefaults() Options {
	if o.Profile == "" {
		o.Profile = meta.Faults
	}
	if o.Flow == "" {
		o.Flow = WhatsApp
	}
	if o.Users == 0 {
		o.Users = 3
	}
	if o.People == 0 {
		o.People = 4
	}
	if o.Rate == 0 {
		o.Rate = 40
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.Silence == 0 {
		o.Silence = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// note writes a line of progress.
func (o *Options) note(format string, args ...any) {
	fmt.Fprintf(o.Log, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, args...)...)
}
