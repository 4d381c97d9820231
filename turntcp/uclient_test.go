//go:build linux

package turntcp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/turngate/turngate/internal/peers"
)

// coturn's client against our server.
func TestUclient(t *testing.T) {
	peers.Need(t, "turnutils_uclient")
	const secret = "shared secret"
	dir := daemonDir(t)
	ca, _ := writeCertificate(t, dir)
	tests := []struct {
		name      string
		transport string
		change    func(*Config)
		args      []string
		peer      bool // to turnutils_peer, else to each other's relays
	}{
		{"tcp", "tcp", allowLoopback, []string{"-w", testPassword}, true},
		{"tls", "tls", allowLoopback, []string{"-w", testPassword}, true},
		{"tcp, send indications", "tcp", allowLoopback, []string{"-s", "-w", testPassword}, true},
		{"tls, send indications", "tls", allowLoopback, []string{"-s", "-w", testPassword}, true},
		{"tcp, relay to relay", "tcp", nil, []string{"-y", "-w", testPassword}, false},
		{"tls, relay to relay", "tls", nil, []string{"-y", "-w", testPassword}, false},
		{"tcp, RTP and RTCP on ports in a row", "tcp", allowLoopback, []string{"-w", testPassword}, true},
		{"tls, RTP and RTCP on ports in a row", "tls", allowLoopback, []string{"-w", testPassword}, true},
		{"tcp, RTP and RTCP, relay to relay", "tcp", nil, []string{"-y", "-w", testPassword}, false},
		{"tcp, IPv6, relay to relay", "tcp", allowLoopback6, []string{"-x", "-y", "-w", testPassword}, false},
		{"tcp, streams (RFC 6062)", "tcp", offerTCP, []string{"-T", "-w", testPassword}, false},
		{"tls, streams (RFC 6062)", "tls", offerTCP, []string{"-T", "-w", testPassword}, false},
		{"tcp, REST secret", "tcp", func(c *Config) {
			allowLoopback(c)
			c.Credentials = RESTCredentials("the next secret", secret)
		}, []string{"-W", secret}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			srv := newTestServer(t, func(c *Config) {
				c.OldChannels = true
				if tt.change != nil {
					tt.change(c)
				}
			})
			at := netip.MustParseAddrPort(srv.addr[tt.transport])
			args := append([]string{"-t", "-u", testUser, "-n", "20", "-m", "2", "-l", "100",
				"-p", strconv.Itoa(int(at.Port()))}, tt.args...)
			if !strings.Contains(tt.name, "RTCP") {
				args = append(args, "-c")
			}
			if tt.transport == "tls" {
				args = append(args, "-S", "-E", ca)
			}
			if tt.peer {
				peer := turnutilsPeer(t)
				args = append(args, "-e", peer.Addr().String(), "-r", strconv.Itoa(int(peer.Port())))
			}
			out, err := uclient(t, append(args, at.Addr().String())...)
			n := 40
			if !tt.peer && strings.Contains(tt.name, "RTCP") {
				n = 80 // each sends by both of its relays
			}
			if err != nil || !strings.Contains(out, fmt.Sprintf("tot_send_msgs=%d, tot_recv_msgs=%[1]d\n", n)) {
				t.Errorf("turnutils_uclient: %v, want %d messages there and back:\n%s", err, n, out)
			}
			eventually(t, "the allocations are gone with the client", func() bool { return srv.Allocations() == 0 })
		})
	}
}

func TestUclientWrongPassword(t *testing.T) {
	peers.Need(t, "turnutils_uclient")
	srv := newTestServer(t, nil)
	at := netip.MustParseAddrPort(srv.addr["tcp"])
	out, err := uclient(t, "-t", "-c", "-u", testUser, "-w", "wrong", "-n", "1", "-y",
		"-p", strconv.Itoa(int(at.Port())), at.Addr().String())
	if err == nil || !strings.Contains(out, "Cannot complete Allocation") {
		t.Errorf("turnutils_uclient: %v, want that it cannot allocate:\n%s", err, out)
	}
	if log := srv.log.String(); !strings.Contains(log, "authentication rejected") || !strings.Contains(log, "wrong password") {
		t.Error("no rejection in the log")
	}
}
