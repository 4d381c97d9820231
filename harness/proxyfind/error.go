package proxyfind

import (
	"fmt"
	"strings"
)

// A Failure says in which way the search for the proxy ended without one.
type Failure string

// The failures.
const (
	Unfetchable  Failure = "not fetched"    // the PAC file cannot be read
	TooLarge     Failure = "too large"      // more than MaxScript bytes
	NotScript    Failure = "not JavaScript" // a web page, or a syntax error
	ScriptError  Failure = "script error"   // it throws, or has no FindProxyForURL
	Stopped      Failure = "script stopped" // time or memory
	NothingToUse Failure = "nothing usable" // the answer holds no directive that we know
	OnlySOCKS    Failure = "SOCKS only"
	NoWPAD       Failure = "no WPAD"   // no name of WPAD's leads to a script
	BadValue     Failure = "bad value" // of an environment variable
	NoChild      Failure = "no child"  // the process that runs the script could not
)

// An Error is why no way was found. It holds no secret.
type Error struct {
	Failure Failure
	Where   string // the PAC file's path or URL, or the variable's name
	Line    int    // of the script; 0 if not known
	Err     error
}

// Error names the place and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Where)
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return strings.TrimPrefix(b.String(), ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
