//go:build !failpoint

package failpoint

// Enabled says whether this build has failpoints.
const Enabled = false

// Hit marks that the program has come by a point. In this build it does nothing.
func Hit(string) error { return nil }

// Without says whether a means is taken away. In this build none ever is.
func Without(string) bool { return false }
