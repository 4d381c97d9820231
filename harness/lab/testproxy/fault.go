package testproxy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// FaultInfo describes a fault.
type FaultInfo struct {
	Name    string // what ParseFault takes
	Default string // of the argument: "2s" in "407.slow=2s"; "" if it takes none
	Row     int    // of the failure catalogue; 0 if it stands in none
	Text    string // one line: what the proxy does
}

// A Fault is misbehaviour that a Proxy plays, made by ParseFault. A Fault may be used by any number
// of proxies and connections; what it counts, it counts per connection.
type Fault struct {
	spec *faultSpec
	arg  string
}

// String is the name with the argument.
func (f Fault) String() string {
	if f.arg == "" {
		return f.spec.Name
	}
	return f.spec.Name + "=" + f.arg
}

// Info describes the fault.
func (f Fault) Info() FaultInfo { return f.spec.FaultInfo }

// hooks makes the fault's hooks for one connection. ParseFault has seen that the argument is good.
func (f Fault) hooks() hooks {
	h, err := f.spec.make(f.arg)
	if err != nil {
		panic("testproxy: fault " + f.String() + ": " + err.Error())
	}
	return h
}

// A faultSpec is a line of the table: make builds the hooks of one connection, with state of its own.
type faultSpec struct {
	FaultInfo
	make func(arg string) (hooks, error)
}

// hooks are called at the phases of a connection, in this order. All are optional.
type hooks struct {
	accepted func(c *conn)                  // before TLS and the first request
	request  func(x *exchange) *response    // a request is there: an answer to give instead of ours
	verdict  func(x *exchange, v *verdict)  // credentials, or none, were judged
	answer   func(x *exchange, r *response) // any answer of ours, about to be written
	tunnel   func(t *tunnel)                // the 2xx is written, nothing is copied yet
}

// Faults lists all faults, in the order of the phases that they touch.
func Faults() []FaultInfo {
	var all []FaultInfo
	for _, table := range faultTables {
		for i := range table {
			all = append(all, table[i].FaultInfo)
		}
	}
	return all
}

var faultTables = [][]faultSpec{insteadFaults, refusalFaults, handshakeFaults, establishedFaults, tunnelFaults}

// ParseFault makes a fault of its name, or of name=argument.
func ParseFault(s string) (Fault, error) {
	name, arg, given := strings.Cut(s, "=")
	for _, table := range faultTables {
		for i := range table {
			spec := &table[i]
			if spec.Name != name {
				continue
			}
			if given && spec.Default == "" {
				return Fault{}, fmt.Errorf("fault %s takes no argument", name)
			}
			if !given {
				arg = spec.Default
			}
			if _, err := spec.make(arg); err != nil {
				return Fault{}, fmt.Errorf("fault %s: argument %q: %w", name, arg, err)
			}
			return Fault{spec, arg}, nil
		}
	}
	return Fault{}, fmt.Errorf("no fault is called %q", name)
}

// MustFault is ParseFault for names that stand in the source. It panics on an error.
func MustFault(s string) Fault {
	f, err := ParseFault(s)
	if err != nil {
		panic("testproxy: " + err.Error())
	}
	return f
}

// The makers below turn hooks, with or without an argument, into the make of a faultSpec.

func always(h hooks) func(string) (hooks, error) {
	return func(string) (hooks, error) { return h, nil }
}

// perConn is for hooks with state.
func perConn(f func() hooks) func(string) (hooks, error) {
	return func(string) (hooks, error) { return f(), nil }
}

func withDuration(f func(time.Duration) hooks) func(string) (hooks, error) {
	return func(arg string) (hooks, error) {
		d, err := time.ParseDuration(arg)
		if err != nil || d <= 0 {
			return hooks{}, fmt.Errorf("not a duration above 0")
		}
		return f(d), nil
	}
}

func withNumber(least, most int, f func(int) hooks) func(string) (hooks, error) {
	return func(arg string) (hooks, error) {
		n, err := strconv.Atoi(arg)
		if err != nil || n < least || n > most {
			return hooks{}, fmt.Errorf("not a number from %d to %d", least, most)
		}
		return f(n), nil
	}
}

// on407 and on2xx restrict an answer hook.
func on407(f func(r *response)) hooks {
	return hooks{answer: func(_ *exchange, r *response) {
		if r.status == http.StatusProxyAuthRequired {
			f(r)
		}
	}}
}

func on2xx(f func(x *exchange, r *response)) hooks {
	return hooks{answer: func(x *exchange, r *response) {
		if r.established() && x.c.tunnel != nil {
			f(x, r)
		}
	}}
}
