// Package peers finds the programs we did not write and that our tests run against.
//
// Where the environment variable TURNGATE_PEERS is "required" (make test, CI), an absent program
// fails the test; elsewhere the test is skipped and says which program is missing.
package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dirs are searched after PATH: Debian keeps daemons and Squid's helpers where an ordinary user's
// PATH does not lead.
var dirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/squid", "/usr/lib/apache2/modules", "/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu/faketime"}

// Find returns the path of a program (or of a library or module by its file name), or "".
func Find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Missing returns those of the names that Find does not find.
func Missing(names ...string) (missing []string) {
	for _, name := range names {
		if Find(name) == "" {
			missing = append(missing, name)
		}
	}
	return missing
}

// Need skips the test when one of the named programs is absent, or fails it where they are required.
func Need(t testing.TB, names ...string) {
	t.Helper()
	missing := Missing(names...)
	if len(missing) == 0 {
		return
	}
	if Required() {
		t.Fatalf("real peers are required here and missing: %s (scripts/peers.sh installs them)", strings.Join(missing, ", "))
	}
	t.Skipf("not on this machine: %s (scripts/peers.sh installs it)", strings.Join(missing, ", "))
}

// Required tells whether an absent peer is a failure.
func Required() bool { return os.Getenv("TURNGATE_PEERS") == "required" }
