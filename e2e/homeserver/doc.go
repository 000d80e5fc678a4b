// Package homeserver runs Dendrite or Synapse, real Matrix homeservers, as a child process
// for end-to-end tests and the demo: fresh, on loopback, with SQLite in memory
// where the system has a memory file system.
//
// It is not a homeserver of ours and not for production: federation is off,
// passwords are hashed cheaply and nothing survives Stop. Dendrite comes from a
// module of its own (e2e/hs), so that it is never linked into the bridge.
// Synapse is whatever [SynapseEnv] points at.
package homeserver
