package realstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// poll is how often a log is looked at while a service starts.
const poll = 20 * time.Millisecond

// portTries bounds how often a service is started anew because somebody took its port in between.
const portTries = 5

var errPortTaken = errors.New("a port was taken in between")

// A listener is a service that is about to start on ports it was given.
type listener struct {
	env     []string
	program string
	args    []string
	log     string   // the file, by its name in log/, where it says that it is ready
	ready   []string // what it says there, all of it
	taken   string   // what it says when a port is taken, where that is not the system's own words
}

// serve starts a service on n free ports. configure writes the configuration for them; it is called
// again with others when somebody else takes one before the service does.
func (s *Stack) serve(ctx context.Context, name string, n int, configure func(ports []int) (listener, error)) ([]int, error) {
	for try := 1; ; try++ {
		ports, err := s.freePorts(n)
		if err != nil {
			return nil, err
		}
		l, err := configure(ports)
		if err != nil {
			return nil, err
		}
		_ = os.Remove(s.path("log", l.log)) // an earlier try's last words would count
		v, err := s.launch(name, l.env, l.program, l.args...)
		if err != nil {
			return nil, err
		}
		if err = s.awaitReady(ctx, v, l); err == nil {
			v.log = l.log
			s.keep(v)
			return ports, nil
		}
		v.kill()
		if !errors.Is(err, errPortTaken) || try == portTries {
			return nil, err
		}
	}
}

// awaitReady waits until the service itself says that it listens. A dial would prove less, for the
// listener might be a stranger's, and would leave a line in the access log.
func (s *Stack) awaitReady(ctx context.Context, v *service, l listener) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		ended := v.ended() // before reading, so that its last words are seen
		said, _ := os.ReadFile(s.path("log", l.log))
		out, _ := os.ReadFile(s.path("log", v.name+".out"))
		switch words := string(said) + string(out); {
		case strings.Contains(words, cmp.Or(l.taken, "Address already in use")):
			return errPortTaken
		case ended:
			return fmt.Errorf("ended at once: %v: %s", v.err, tail([]byte(words), 800))
		case containsAll(string(said), l.ready):
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w: %s", context.Cause(ctx), tail(append(said, out...), 800))
		}
	}
}

func containsAll(text string, wanted []string) bool {
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// freePorts finds n ports of 127.0.0.1 that nobody listens on. They lie below the range from which
// Linux serves port 0 and outgoing connections, so that between here and the service's own bind
// almost nobody can take one.
func (s *Stack) freePorts(n int) ([]int, error) {
	const low, high = 20000, 32000
	var ports []int
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := low + rand.IntN(high-low)
		if s.claim(port) && bindable(port) {
			ports = append(ports, port)
		}
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d", n, low, high)
}

// claim keeps two services of one Stack from choosing the same port.
func (s *Stack) claim(port int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports[port] {
		return false
	}
	s.ports[port] = true
	return true
}

func bindable(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
