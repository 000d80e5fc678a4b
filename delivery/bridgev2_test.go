package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/bridgeconfig"
	"maunium.net/go/mautrix/bridgev2/commands"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/matrix"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
	"causeway/simulator/homeserver"
)

// program is bridgev2 as published with delivery installed, in front of a homeserver that misbehaves on demand.
type program struct {
	*Delivery
	db      *dbutil.Database
	bridge  *bridgev2.Bridge
	matrix  *Matrix
	network *playedNetwork
}

const alice = "@alice:localhost"

func freePort(t *testing.T) uint16 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func newHomeserver(t *testing.T, port uint16) *homeserver.Server {
	registration := homeserver.Registration{
		ID: "causeway", URL: fmt.Sprintf("http://127.0.0.1:%d", port), ASToken: "as", HSToken: hsToken, SenderLocalpart: "cwbot",
	}
	registration.Namespaces.Users = []homeserver.Namespace{{Regex: "@cw_.*:localhost", Exclusive: true}}
	hs := homeserver.Start(t, homeserver.Appservice(registration))
	hs.Register("alice", "password")
	return hs
}

func config(address string, port uint16) *bridgeconfig.Config {
	return &bridgeconfig.Config{
		Homeserver: bridgeconfig.HomeserverConfig{Address: address, Domain: "localhost", Software: bridgeconfig.SoftwareStandard, RetryLimit: 4},
		AppService: bridgeconfig.AppserviceConfig{
			Address: fmt.Sprintf("http://127.0.0.1:%d", port), Hostname: "127.0.0.1", Port: port, ID: "causeway", ASToken: "as", HSToken: hsToken,
			Bot: bridgeconfig.BotUserConfig{Username: "cwbot"}, UsernameTemplate: "cw_{{.}}",
		},
		Bridge: bridgeconfig.BridgeConfig{
			CommandPrefix: "!cw", Permissions: bridgeconfig.PermissionConfig{alice: &bridgeconfig.PermissionLevelUser},
		},
	}
}

// startProgram runs the program once on a disk.
func startProgram(t *testing.T, on disk, hs *homeserver.Server, port uint16, client *playedClient) *program {
	p := newProgram(t, on, hs.URL(), port, client)
	p.start(t)
	return p
}

func newProgram(t *testing.T, on disk, address string, port uint16, client network.Client, logs ...io.Writer) *program {
	log := zerolog.New(io.MultiWriter(logs...))
	p := &program{db: on.place.Open(t), network: &playedNetwork{client: client}}
	inner := matrix.NewConnector(config(address, port))
	p.bridge = bridgev2.NewBridge("", p.db, log, &inner.Config.Bridge, inner, p.network, commands.NewProcessor)
	p.Delivery = New(Options{
		DB: database.New(p.db), Bridge: p.network, Timing: quick, Log: log, Exit: func(err error) { t.Log(err) },
		SecretFile: filepath.Join(on.dir, "secret"), LockFile: filepath.Join(on.dir, "lock"), EpochFile: filepath.Join(on.dir, "epoch"),
	})
	p.network.d = p.Delivery
	var err error
	p.matrix, err = Install(p.Delivery, inner)
	require.NoError(t, err)
	return p
}

func (p *program) start(t *testing.T) {
	require.NoError(t, p.bridge.StartConnectors(t.Context()))
	require.NoError(t, p.bridge.StartLogins(t.Context()))
	user, err := p.bridge.GetUserByMXID(t.Context(), alice)
	require.NoError(t, err)
	if len(user.GetUserLogins()) == 0 {
		_, err = user.NewLogin(t.Context(), &bridgedb.UserLogin{ID: login, RemoteName: "Alice"}, nil)
		require.NoError(t, err)
	}
	require.NoError(t, p.Run(t.Context()))
	t.Cleanup(p.die)
}

// die ends the program as far as a test process can: nothing more gets onto the disk, nothing is answered.
func (p *program) die() {
	_ = p.db.Close()
	_ = p.matrix.front.server.Close()
	(&process{Delivery: p.Delivery, db: p.db}).die()
}

// bodies are the texts of a room, of all its senders, in order.
func bodies(hs *homeserver.Server, room string) (texts []string) {
	for _, evt := range hs.Timeline(room) {
		var content struct{ Body string }
		if evt.Type == "m.room.message" && json.Unmarshal(evt.Content, &content) == nil {
			texts = append(texts, content.Body)
		}
	}
	return texts
}

// portals are the rooms that were made for the conversation.
func portals(hs *homeserver.Server) (rooms []string) {
	for _, room := range hs.Rooms() {
		if _, ok := hs.State(room, "m.room.create", ""); ok {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

func onlyRoomShows(t *testing.T, hs *homeserver.Server, want ...string) string {
	t.Helper()
	until(t, func() bool { r := portals(hs); return len(r) > 0 && slices.Equal(want, bodies(hs, r[0])) }, func() any {
		r := portals(hs)
		if len(r) == 0 {
			return "no room"
		}
		return fmt.Sprint(bodies(hs, r[0]), hs.Unrecognized())
	})
	require.Len(t, portals(hs), 1)
	return portals(hs)[0]
}

func TestBridgev2BringsEachMessageOnce(t *testing.T) {
	faults := map[string]homeserver.Fault{
		"refused before it is done":  {Kind: homeserver.Status500, Count: 4},
		"done and answered with 500": {Kind: homeserver.Status500AfterCommit, Count: 4},
		"cut before it is done":      {Kind: homeserver.CutBefore, Count: 4},
		"cut after it is done":       {Kind: homeserver.CutAfterCommit, Count: 4},
		"cut in the answer":          {Kind: homeserver.CutMidAnswer, Count: 4},
		"too many requests":          {Kind: homeserver.Status429, Retry: "0", Count: 4},
		"forbidden once":             {Kind: homeserver.Forbidden, Count: 1},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				port := freePort(t)
				hs := newHomeserver(t, port)
				p := startProgram(t, on, hs, port, newClient())
				take(t, &process{Delivery: p.Delivery}, text(anna, "first", "m0"))
				onlyRoomShows(t, hs, "m0")
				fault.Path = regexp.MustCompile("/send/m.room.message/")
				handle := hs.Fault(fault)
				for i := 1; i < 20; i++ {
					take(t, &process{Delivery: p.Delivery}, text(anna, fmt.Sprint(i), fmt.Sprint("m", i)))
					if i%3 == 0 {
						hs.ForgetTransactions() // the marker alone must do
					}
				}
				onlyRoomShows(t, hs, numbers("m", 20)...)
				require.Equal(t, fault.Count, handle.Hits())
				require.Zero(t, p.Figures().RandomTransactions)
				until(t, func() bool {
					return (&process{Delivery: p.Delivery}).inboxStates(t)[database.InboxDone] == 20
				})
				onlyRoomShows(t, hs, numbers("m", 20)...)
			})
		})
	}
}

func TestBridgev2MakesOneRoomHoweverTheCreationEnds(t *testing.T) {
	for name, kind := range map[string]homeserver.Kind{
		"cut after it is made": homeserver.CutAfterCommit, "500 after it is made": homeserver.Status500AfterCommit, "500": homeserver.Status500,
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				port := freePort(t)
				hs := newHomeserver(t, port)
				p := startProgram(t, on, hs, port, newClient())
				hs.Fault(homeserver.Fault{Path: regexp.MustCompile("/createRoom"), Kind: kind, Count: 1})
				take(t, &process{Delivery: p.Delivery}, text(anna, "A", "one"), text(anna, "B", "two"))
				onlyRoomShows(t, hs, "one", "two")
			})
		})
	}
}

func TestBridgev2DiesAndComesBack(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		port := freePort(t)
		hs := newHomeserver(t, port)
		paths := []string{"/createRoom", "/send/m.room.message/", "/send/m.room.message/", "/send/m.room.message/"}
		for round, path := range paths {
			p := startProgram(t, on, hs, port, newClient())
			// the homeserver does it, and the process does not live to see the answer
			handle := hs.Fault(homeserver.Fault{Path: regexp.MustCompile(path), Kind: homeserver.TimeoutAfterCommit, Delay: patience, Count: 1})
			take(t, &process{Delivery: p.Delivery}, text(anna, fmt.Sprint("a", round), fmt.Sprint("m", 2*round)), text(anna, fmt.Sprint("b", round), fmt.Sprint("m", 2*round+1)))
			until(t, func() bool { return handle.Hits() == 1 })
			handle.Clear()
			require.NoError(t, hs.Restart(false))
			p.die()
		}
		p := startProgram(t, on, hs, port, newClient())
		onlyRoomShows(t, hs, numbers("m", 2*len(paths))...)
		until(t, func() bool {
			return (&process{Delivery: p.Delivery}).inboxStates(t)[database.InboxDone] == 2*len(paths)
		})
		onlyRoomShows(t, hs, numbers("m", 2*len(paths))...)
	})
}

func TestBridgev2ShowsAPlaceholderAndNoInternals(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		port := freePort(t)
		hs := newHomeserver(t, port)
		p := startProgram(t, on, hs, port, newClient())
		take(t, &process{Delivery: p.Delivery}, text(anna, "A", "one"), text(anna, "B", "bad"), text(anna, "C", "three"))
		room := onlyRoomShows(t, hs, "one", "placeholder", "three")
		for _, evt := range hs.Timeline(room) {
			require.NotContains(t, string(evt.Content), errConvert.Error())
		}
	})
}

func TestBridgev2SendsWhatTheHomeserverPushesOnce(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		port := freePort(t)
		hs := newHomeserver(t, port)
		client := newClient()
		p := startProgram(t, on, hs, port, client)
		take(t, &process{Delivery: p.Delivery}, text(anna, "A", "hello"))
		room := onlyRoomShows(t, hs, "hello")
		require.NoError(t, hs.Join(room, alice))
		for _, kind := range []homeserver.PushKind{homeserver.PushTwice, homeserver.PushTwiceAtOnce, homeserver.PushRepeated, homeserver.PushRenumbered} {
			hs.FaultPush(homeserver.PushFault{Appservice: "causeway", Kind: kind, Count: 2})
		}
		say := func(i int) {
			_, err := hs.Send(room, alice, "m.room.message", map[string]string{"msgtype": "m.text", "body": fmt.Sprint("m", i)})
			require.NoError(t, err)
		}
		for i := range 20 {
			say(i)
		}
		client.hears(t, numbers("m", 20)...)
		require.Len(t, client.calls(), 20)

		// what came while the program was away, and what it had not sent yet
		client.change(func() {
			client.answer = func(network.Message) (bool, error) { return false, network.ErrNotConnected }
		})
		say(20)
		until(t, func() bool { return len(client.calls()) > 20 })
		p.die()
		say(21)
		client.change(func() { client.answer = nil })
		p = startProgram(t, on, hs, port, client)
		client.hears(t, numbers("m", 22)...)
		for _, evt := range hs.Timeline(room) {
			if evt.Sender == alice && evt.Type == "m.room.message" {
				row, err := p.bridge.DB.Message.GetPartByMXID(t.Context(), id.EventID(evt.ID))
				require.NoError(t, err)
				require.NotNil(t, row, "an answer must find its message")
				require.True(t, strings.HasPrefix(string(row.ID), anna.String()))
			}
		}
	})
}

func TestBridgev2StopsInOrder(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		port := freePort(t)
		hs := newHomeserver(t, port)
		p := startProgram(t, on, hs, port, newClient())
		take(t, &process{Delivery: p.Delivery}, text(anna, "A", "one"))
		began := time.Now()
		p.bridge.Stop()
		require.Less(t, time.Since(began), stopTime)
		db := database.New(on.place.Open(t))
		instance, err := db.Journal("").Instance(context.Background())
		require.NoError(t, err)
		require.True(t, instance.CleanStop)
		startProgram(t, on, hs, port, newClient())
		onlyRoomShows(t, hs, "one")
	})
}

func TestUnsafeSettingsAreRefusedAllAtOnce(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		port := freePort(t)
		unsafe := config(newHomeserver(t, port).URL(), 0)
		unsafe.Homeserver.Websocket, unsafe.AppService.AsyncTransactions, unsafe.Bridge.AsyncEvents = true, true, true
		db := on.place.Open(t)
		inner := matrix.NewConnector(unsafe)
		bridgev2.NewBridge("", db, zerolog.Nop(), &unsafe.Bridge, inner, &playedNetwork{}, commands.NewProcessor)
		_, err := Install(New(Options{DB: database.New(db)}), inner)
		for _, key := range []string{"homeserver.websocket", "appservice.async_transactions", "bridge.async_events", "appservice.hostname"} {
			require.ErrorContains(t, err, key)
		}
	})
}
