//go:build !nojournal

package delivery

// journaled says that what this package promises is kept.
const journaled = true
