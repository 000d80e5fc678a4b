// Package crash kills the bridge again and again while people talk through it. The bridge is
// the real program as a child process, with the small homeserver and the simulated network in this
// process, where they outlive it. Package checker judges what each side saw.
//
// It asks the bridge nothing and does not look into its database.
package crash
