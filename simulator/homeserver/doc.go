// Package homeserver is a Matrix homeserver small enough for fault tests and benchmarks: in memory, on loopback, in
// process. It serves what an application service and its test users need of the client-server API (specification v1.12),
// pushes transactions to application services in order until they are accepted, misbehaves when told to, and remembers
// every event for a checker.
//
// It is not a homeserver for people: there is no federation, no persistence, no search, no push to phones, no state
// resolution. What it does not know it answers with 404 M_UNRECOGNIZED and records ([Server.Unrecognized]). Where real
// servers differ it does what Synapse does, and says so at the line.
//
//	hs := homeserver.Start(t)
//	as, err := hs.LoadAppservice("registration.yaml")
//	alice := hs.Register("alice", "password")
//	hs.Fault(homeserver.Fault{Path: regexp.MustCompile("/send/"), Kind: homeserver.CutAfterCommit, Count: 3})
//	hs.Restart(false) // without its memory of transaction ids
//	hs.Timeline(room)
//
// One mutex guards the world. Handlers run whole under it, so that a request is either committed or has not happened;
// nothing waits for the network while it is held.
package homeserver
