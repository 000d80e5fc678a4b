// Package meta simulates Meta's side of third-party chats on loopback: the chat
// server that clients log in to, the enlistment service that providers call, and
// the people of WhatsApp with the phones they hold.
//
// It is for tests, demonstrations and benches. It is strict where the real
// network is strict, signs everything that has to be signed, and misbehaves the
// way a network does (see [ProfileName]), so that a client which gets along with it
// has checked and waited for what it must. It shares no code with the bridge, does not use
// the client of the library that the bridge uses, listens and dials on loopback
// only, and keeps everything in memory. It is no model of Meta's capacity, and
// what Meta has not published it makes up: see the marks "assumed:".
package meta
