package homeserver

import (
	"os"
	"testing"
)

// Require builds the homeserver if need be, and skips the test where it cannot be built, such
// as without access to Go modules. With CI=true that is a failure instead.
func Require(t testing.TB) {
	t.Helper()
	if Complete() {
		return // named by hand: if it does not run, that is a failure
	}
	_, err := Binary(t.Context())
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skipf("no homeserver to test with: %v", err)
	}
}
