//go:build failpoint

package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/database/databasetest"
	"causeway/failpoint"
	"causeway/network"
	"causeway/simulator/homeserver"
)

// The crash tests run the program as a process of its own, which a failpoint ends by SIGKILL. The homeserver
// and the network live on in the test's process: the network keeps each message until the program has
// acknowledged it, and recipients drop repeats of an id.

const (
	crashMessages = 12
	// crashRuns is how many times the program may have to be started before all is done.
	crashRuns = 12
	envDisk   = "CAUSEWAY_TEST_CRASH_DISK"
	envHS     = "CAUSEWAY_TEST_CRASH_HOMESERVER"
	envPort   = "CAUSEWAY_TEST_CRASH_PORT"
	envNet    = "CAUSEWAY_TEST_CRASH_NETWORK"
	// envBlind takes the look into the room away.
	envBlind = "CAUSEWAY_TEST_CRASH_BLIND"
)

// wireLine is what program and network say to each other, one JSON object a line.
type wireLine struct {
	ID, Body string
	// Send: the program sends a message. Else it acknowledges one that it was given, or the network says one.
	Send bool
}

// wireNetwork is the network's side of one conversation, on a loopback socket.
type wireNetwork struct {
	listener net.Listener
	arrived  *playedClient
	unacked  []wireLine
}

func newWireNetwork(t *testing.T) *wireNetwork {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &wireNetwork{listener: listener, arrived: newClient()}
	for i := range crashMessages {
		n.unacked = append(n.unacked, wireLine{ID: fmt.Sprint("in", i), Body: fmt.Sprint("r", i)})
	}
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	go n.serve()
	return n
}

// serve talks to one program after the other.
func (n *wireNetwork) serve() {
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.talk(conn)
		_ = conn.Close()
	}
}

func (n *wireNetwork) talk(conn net.Conn) {
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for _, line := range n.unacked {
		if out.Encode(line) != nil {
			return
		}
	}
	for {
		var line wireLine
		if in.Decode(&line) != nil {
			return
		}
		if !line.Send {
			n.unacked = slices.DeleteFunc(n.unacked, func(l wireLine) bool { return l.ID == line.ID })
			continue
		}
		_, _ = n.arrived.Send(context.Background(), network.Message{
			ID: network.MessageID{Conversation: anna, Sender: bob, ID: line.ID}, Content: network.Text{Body: line.Body},
		})
		if out.Encode(line) != nil {
			return
		}
	}
}

// wireClient is the program's side.
type wireClient struct {
	*playedClient
	writing sync.Mutex
	out     *json.Encoder
	answers chan string
}

func (c *wireClient) write(line wireLine) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.out.Encode(line)
}

func (c *wireClient) Send(ctx context.Context, msg network.Message) (network.Sent, error) {
	if err := c.write(wireLine{ID: msg.ID.ID, Body: msg.Content.(network.Text).Body, Send: true}); err != nil {
		return network.Sent{}, network.ErrOutcomeUnknown
	}
	select {
	case <-c.answers:
		return network.Sent{Time: time.Now()}, nil
	case <-ctx.Done():
		return network.Sent{}, network.ErrOutcomeUnknown
	}
}

// TestCrashProgram is the program, when the test's binary is started as one.
func TestCrashProgram(t *testing.T) {
	dir := os.Getenv(envDisk)
	if dir == "" {
		t.Skip("this is the program of the crash tests")
	}
	port, err := strconv.ParseUint(os.Getenv(envPort), 10, 16)
	require.NoError(t, err)
	on := disk{dir: dir, place: databasetest.SQLite(dir)}
	conn, err := net.Dial("tcp", os.Getenv(envNet))
	require.NoError(t, err)
	client := &wireClient{playedClient: newClient(), out: json.NewEncoder(conn), answers: make(chan string, 1)}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	p := newProgram(t, on, os.Getenv(envHS), uint16(port), client, log)
	if os.Getenv(envBlind) != "" {
		p.scan = func(context.Context, networkid.PortalKey, time.Time) (map[string]id.EventID, error) {
			return map[string]id.EventID{}, nil
		}
	}
	p.start(t)
	events := make(chan wireLine, crashMessages)
	go func() {
		for line := range events {
			if p.Inbox.Take(context.Background(), login, text(anna, line.ID, line.Body)) != nil {
				return // what is not taken stays with the network, and what comes after it
			}
			_ = client.write(wireLine{ID: line.ID})
		}
	}()
	in := json.NewDecoder(conn)
	for {
		var line wireLine
		if in.Decode(&line) != nil {
			return
		}
		if line.Send {
			client.answers <- line.ID
		} else {
			events <- line
		}
	}
}

// run starts the program and waits for its end, or until done.
func runProgram(t *testing.T, schedule string, env []string, done func() bool, state func() any) (killed bool) {
	program := exec.Command(os.Args[0], "-test.run=^TestCrashProgram$", "-test.timeout=60s")
	program.Env = append(os.Environ(), append(env, failpoint.EnvSchedule+"="+schedule)...)
	require.NoError(t, program.Start())
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	deadline := time.After(patience)
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				return true
			}
			t.Fatal("the program ended by itself", err)
		case <-deadline:
			_ = program.Process.Kill()
			<-ended
			t.Fatalf("the program did not get done: %v", state())
		default:
		}
		if done() {
			_ = program.Process.Kill()
			<-ended
			return false
		}
		pause()
	}
}

func TestDeathAtEachPoint(t *testing.T) {
	points := []string{
		failpoint.InboxBeforeCommit, failpoint.InboxCommitted, failpoint.SendBefore, failpoint.SendCommitted, failpoint.SendUsed,
		failpoint.InboxBeforeDone, failpoint.RoomCreated, failpoint.FrontBeforeCommit, failpoint.FrontCommitted, failpoint.FrontAnswered,
		failpoint.OutboxWritten, failpoint.OutboxBeforeSend, failpoint.OutboxAcked, failpoint.OutboxBeforeMapping, failpoint.OutboxBeforeStatus,
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			room, hs, wire := dieAgainAndAgain(t, point)
			require.Len(t, portals(hs), 1)
			require.Equal(t, numbers("r", crashMessages), ghostBodies(hs, room))
			require.Equal(t, numbers("m", crashMessages), wire.arrived.bodies())
		})
	}
}

// The look into the room is what makes the test above green: without it the same deaths double messages.
func TestWithoutTheLookIntoTheRoomDeathDoubles(t *testing.T) {
	room, hs, _ := dieAgainAndAgain(t, failpoint.SendCommitted, envBlind+"=1")
	shown := ghostBodies(hs, room)
	require.Greater(t, len(shown), crashMessages)
	require.Len(t, slices.Compact(shown), crashMessages)
}

// dieAgainAndAgain kills the program at a point until both sides have said everything, and then lets
// it run until nothing waits any more.
func dieAgainAndAgain(t *testing.T, point string, env ...string) (room string, hs *homeserver.Server, wire *wireNetwork) {
	port, dir := freePort(t), t.TempDir()
	hs, wire = newHomeserver(t, port), newWireNetwork(t)
	env = append(env, envDisk+"="+dir, envHS+"="+hs.URL(), envPort+"="+fmt.Sprint(port), envNet+"="+wire.listener.Addr().String())
	said, kills := false, 0
	allSaid := func() bool {
		rooms := portals(hs)
		if len(rooms) == 0 {
			return false
		}
		if !said && hs.Join(rooms[0], alice) == nil {
			said = true
			for _, body := range numbers("m", crashMessages) {
				_, err := hs.Send(rooms[0], alice, "m.room.message", map[string]string{"msgtype": "m.text", "body": body})
				require.NoError(t, err)
			}
		}
		return len(ghostBodies(hs, rooms[0])) >= crashMessages && len(wire.arrived.bodies()) >= crashMessages
	}
	state := func() any {
		rooms := portals(hs)
		if log, err := os.ReadFile(filepath.Join(dir, "log")); err == nil {
			t.Log(string(log))
		}
		if len(rooms) == 0 {
			return "no room"
		}
		return fmt.Sprint(rooms, ghostBodies(hs, rooms[0]), wire.arrived.bodies(), hs.Pushes("causeway"), wire.listener.Addr())
	}
	for run := range crashRuns {
		if !runProgram(t, fmt.Sprintf("%s=kill#%d", point, 1+run%3), env, allSaid, state) {
			break
		}
		kills++
		hs.ForgetTransactions()
	}
	require.Positive(t, kills, "the point was never reached")
	db := database.New(databasetest.SQLite(dir).Open(t))
	runProgram(t, "", env, func() bool { return allSaid() && hs.Pushes("causeway").Waiting == 0 && nothingWaits(t, db.Journal("")) }, func() any {
		inbox, err := db.Journal("").InboxByState(t.Context(), database.InboxNew, 100)
		outbox, err2 := db.Journal("").OutboxLanes(t.Context())
		return fmt.Sprint(state(), inbox, outbox, err, err2)
	})
	return portals(hs)[0], hs, wire
}

func nothingWaits(t *testing.T, journal *database.Journal) bool {
	inbox, err := journal.CountInbox(t.Context())
	require.NoError(t, err)
	events, err := journal.CountMatrix(t.Context())
	require.NoError(t, err)
	outbox, err := journal.OutboxLanes(t.Context())
	require.NoError(t, err)
	unreported, err := journal.UnreportedOutbox(t.Context())
	require.NoError(t, err)
	return len(inbox)+events+len(outbox)+len(unreported) == 0
}

// ghostBodies are the texts that came from the network.
func ghostBodies(hs *homeserver.Server, room string) (texts []string) {
	for _, evt := range hs.Timeline(room) {
		var content struct{ Body string }
		if evt.Type == "m.room.message" && evt.Sender != alice && json.Unmarshal(evt.Content, &content) == nil {
			texts = append(texts, content.Body)
		}
	}
	return texts
}
