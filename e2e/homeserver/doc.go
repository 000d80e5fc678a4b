// Package homeserver runs Dendrite, a real Matrix homeserver, as a child process
// for end-to-end tests and the demo: fresh, on loopback, with SQLite in memory
// where the system has a memory file system.
//
// It is not a homeserver of ours and not for production: federation is off,
// passwords are hashed cheaply and nothing survives Stop. Dendrite comes from a
// module of its own (e2e/hs), so that it is never linked into the bridge.
package homeserver
