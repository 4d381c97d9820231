//go:build linux

package realstack

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/turngate/turngate/internal/peers"
)

// A port that somebody takes between our look and the service's own is not the end.
func TestPortTaken(t *testing.T) {
	peers.Need(t, append(needed, "turnserver")...)
	certPEM, keyPEM := certificate(t)
	only := []string{"tinyproxy", "squid/basic", "apache"}
	stack, err := Start(within(t), Config{Users: users, CertPEM: certPEM, KeyPEM: keyPEM, Only: only})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	if err := os.Remove(stack.path("apache", "httpd.pid")); err != nil { // apache2 would not start beside its own file
		t.Fatal(err)
	}
	configures := map[string]func([]int) (listener, error){
		"again-tinyproxy": func(ports []int) (listener, error) { return stack.tinyproxyListener(ports, users[:1]) },
		"again-squid": func(ports []int) (listener, error) {
			return stack.squidListener("again-squid", []string{"Basic"}, ports)
		},
		"again-apache": func(ports []int) (listener, error) { return stack.apacheListener(ports, 1) },
		"again-kdc":    stack.kdcListener,
		"coturn":       stack.coturnListener,
	}
	sizes := map[string]int{"again-tinyproxy": 1, "again-squid": 2, "again-apache": 4, "again-kdc": 1, "coturn": 2}
	for name, configure := range configures {
		t.Run(name, func(t *testing.T) {
			testPortTaken(t, stack, name, sizes[name], configure)
		})
	}
}

func testPortTaken(t *testing.T, stack *Stack, name string, n int, configure func([]int) (listener, error)) {
	tries, taken := 0, 0
	got, err := stack.serve(within(t), name, n, func(ports []int) (listener, error) {
		if tries++; tries == 1 {
			taken = ports[n-1] // the last: a program that got some of its ports must not count as ready
			squatter, err := net.Listen("tcp", loopback(taken))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { squatter.Close() })
		}
		return configure(ports)
	})
	if err != nil {
		t.Fatal(err)
	}
	if tries != 2 || got[n-1] == taken {
		t.Errorf("got ready on %v after %d tries, want 2 and not %d", got, tries, taken)
	}
}

// Somebody on every port we choose is the end.
func TestPortsTaken(t *testing.T) {
	peers.Need(t, needed...)
	stack, err := Start(within(t), Config{Users: users, Only: []string{"kdc"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	tries := 0
	_, err = stack.serve(context.Background(), "again-kdc", 1, func(ports []int) (listener, error) {
		tries++
		squatter, err := net.Listen("tcp", loopback(ports[0]))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { squatter.Close() })
		return stack.kdcListener(ports)
	})
	if err == nil || tries != portTries {
		t.Errorf("got %v after %d tries, want an error after %d", err, tries, portTries)
	}
}
