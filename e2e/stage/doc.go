// Package stage sets up what a conversation needs on our side: a real homeserver, the
// real bridge as a child process, configured as an operator would (-e, edit, -g), and the
// stand-in for what the homeserver does not push.
//
// The simulated network is not its business: who calls Open runs one and says where it is.
package stage
