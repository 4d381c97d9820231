// Package matrix runs cells: TURN through one proxy, with one authentication, over one transport,
// measured beside a direct baseline, or failing as declared.
package matrix

import (
	"context"
	"crypto/tls"
	"path"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/credentials"
)

// A Cell is one combination to try. Its name is a path, such as "ntlm/https-proxy/turns/udp/squid".
type Cell struct {
	Name string
	TURN TURN // the server to reach

	Proxy string           // URL; "" is a direct connection
	TLS   *tls.Config      // to an https proxy
	Auth  credentials.Spec // to the proxy

	// Expect is "through", or the code of the failure that the cell declares (see classify).
	Expect string

	// Timeout bounds the set-up of the tunnel and the allocation. Default 20 s.
	Timeout time.Duration

	// Measure says whether a cell that gets through is measured.
	Measure bool

	// Diagnose, if it is set, diagnoses the cell's path instead of opening a call on it.
	Diagnose *Diagnosis

	// Prepare runs before the cell and may change it (a proxy that is started for it); what it
	// returns runs after the cell.
	Prepare func(ctx context.Context, c *Cell) (release func(), err error)

	// Begin reads the state of the other side before the cell; the Check it returns compares
	// afterwards. They run in order.
	Begin []func() Check
}

// A Check looks, after a cell, at what the other side (the proxy's log, the verifier) wrote down. It
// may wait for it until the context ends.
type Check func(ctx context.Context) (name, found string, ok bool)

// TURN is a server, and how to reach it.
type TURN struct {
	Address  string // host:port, as given to CONNECT
	Secure   bool   // turns: TLS through the tunnel
	Config   *tls.Config
	User     string
	Password credentials.Secret

	// FarDirect says that the far end of the measurement, a second allocation, is reached without
	// the proxy; else it takes the same way.
	FarDirect bool
}

// transport is "turn" or "turns".
func (t TURN) transport() string {
	if t.Secure {
		return "turns"
	}
	return "turn"
}

// Match tells whether a cell's name matches a pattern: its parts are matched one by one (path.Match),
// a shorter pattern matches the beginning, and one without a slash matches any part.
func Match(pattern, name string) bool {
	parts := strings.Split(name, "/")
	if !strings.Contains(pattern, "/") {
		for _, part := range parts {
			if matchPart(pattern, part) {
				return true
			}
		}
		return false
	}
	patterns := strings.Split(strings.TrimSuffix(pattern, "/"), "/")
	if len(patterns) > len(parts) {
		return false
	}
	for i, p := range patterns {
		if !matchPart(p, parts[i]) {
			return false
		}
	}
	return true
}

func matchPart(pattern, part string) bool {
	ok, err := path.Match(pattern, part)
	return ok && err == nil
}

// Select returns the cells that match one of the patterns; all of them for no pattern.
func Select(cells []Cell, patterns []string) []Cell {
	if len(patterns) == 0 {
		return cells
	}
	var chosen []Cell
	for _, c := range cells {
		for _, p := range patterns {
			if Match(p, c.Name) {
				chosen = append(chosen, c)
				break
			}
		}
	}
	return chosen
}
