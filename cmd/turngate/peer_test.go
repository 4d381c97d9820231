package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab/realstack"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/internal/peers"
)

// Calls through tinyproxy and coturn to coturn's own echo peer, and to ours: nothing of it all but the
// generator, and in the second case the peer, is ours.
func TestLoadToEchoPeer(t *testing.T) {
	peers.Need(t, "tinyproxy", "turnserver", "turnutils_peer")
	alice := realstack.User{Name: "alice", Password: "s3cret"}
	stack, err := realstack.Start(t.Context(), realstack.Config{Users: []realstack.User{alice}, Only: []string{"tinyproxy"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	server, err := stack.StartCoturn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(alice.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	ours := start(t, nil, "peer", "--listen", "127.0.0.1:0")
	ours.await(t, "answering")
	address := regexp.MustCompile(`udp (\S+);`).FindStringSubmatch(ours.all[0])
	for _, c := range []struct {
		name, peer string
		more       []string
		direct     bool
	}{
		{"coturn's", turnutilsPeer(t), []string{"--baseline", "1s"}, true},
		{"ours", address[1], []string{"--no-baseline", "--processes", "2"}, false},
	} {
		out := filepath.Join(dir, c.name+".json")
		p := start(t, nil, append([]string{"load", "--peer", c.peer, "--proxy", stack.Proxies()[0].URL, "--auth", "basic", "--proxy-user", alice.Name, "--proxy-password-file", password,
			"--turn", "turn:" + server.Addr + "?transport=tcp", "--turn-user", alice.Name, "--turn-password-file", password, "--calls", "3", "--profile", "audio", "--duration", "2s", "--json", out}, c.more...)...)
		p.await(t, "OBJECTIVE")
		p.await(t, "delays are RTT/2, half of the way to the echo peer "+c.peer)
		p.Wait()
		r := recordOf(t, out)
		s := r.Steps[len(r.Steps)-1]
		if r.Path.Direction != measure.HalfRoundTrip || r.Path.Peer != c.peer || s.Tunnels.Opened != 3 || s.Up.Received == 0 || s.Down.Delay.Count() != 0 {
			t.Errorf("%s: path %+v, tunnels %+v, up %d", c.name, r.Path, s.Tunnels, s.Up.Received)
		}
		if r.Steps[0].Direct != c.direct || len(r.Steps) > 3 {
			t.Errorf("%s: %d steps, the first direct: %v, want %v", c.name, len(r.Steps), r.Steps[0].Direct, c.direct)
		}
	}
	ours.interrupt(t, exitOK)
	if last := ours.all[len(ours.all)-1]; !regexp.MustCompile(`^echoed [1-9]\d* packets, \d+ bytes; not answered: 0 `).MatchString(last) {
		t.Errorf("the peer ended with %q", last)
	}
}

// turnutilsPeer starts coturn's echo peer, which takes the next port, too.
func turnutilsPeer(t *testing.T) string {
	t.Helper()
	for range 5 {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := netip.MustParseAddrPort(conn.LocalAddr().String())
		conn.Close()
		cmd := exec.Command(peers.Find("turnutils_peer"), "-L", "127.0.0.1", "-p", fmt.Sprint(at.Port()))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		if answers(at) {
			return at.String()
		}
	}
	t.Fatal("turnutils_peer does not answer")
	return ""
}

// answers waits for an echo.
func answers(at netip.AddrPort) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	defer conn.Close()
	for range 100 {
		conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := conn.Write([]byte("hello")); err == nil {
			if _, err := conn.Read(make([]byte, 10)); err == nil {
				return true
			}
		}
		time.Sleep(20 * time.Millisecond) // refused: not yet there
	}
	return false
}

func recordOf(t *testing.T, file string) measure.Record {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := report.ReadRecord(f)
	if err != nil || len(r.Steps) == 0 {
		t.Fatalf("%s: %d steps, %v", file, len(r.Steps), err)
	}
	return r
}

func TestPeerAllows(t *testing.T) {
	p := peerCmd{Allow: []string{"192.0.2.7", "10.1.2.3/8", "::ffff:192.0.2.8"}}
	list, err := p.allowed()
	if got := fmt.Sprint(list); err != nil || strings.Join(strings.Fields(got), " ") != "[192.0.2.7/32 10.0.0.0/8 192.0.2.8/32]" {
		t.Errorf("allowed %v, %v", list, err)
	}
}
