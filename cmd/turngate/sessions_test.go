//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/service"
)

// sessions runs turngate sessions.
func sessions(t *testing.T, control string, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(context.Background(), append([]string{"sessions", "--control", control}, args...), stdio{nil, &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// coturn's client relays streams (RFC 6062) while turngate sessions looks on, and then ends it.
func TestServeSessions(t *testing.T) {
	peers.Need(t, "turnutils_uclient")
	control := filepath.Join(t.TempDir(), "run", "control")
	s := startServer(t, "--tcp-relays", "--control", control)
	host, port, err := net.SplitHostPort(s.tls)
	if err != nil {
		t.Fatal(err)
	}
	out, err := uclient("-T", "-S", "-E", s.ca, "-n", "5", "-m", "2", "-l", "100", "-p", port, "-u", "alice", "-w", servePassword, host)
	if err != nil || !strings.Contains(out, "tot_send_msgs=10, tot_recv_msgs=10\n") {
		t.Errorf("turnutils_uclient -T: %v, want 10 messages there and back:\n%s", err, out)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() { // would take an hour
		defer close(done)
		_, _ = uclientUntil(ctx, "-T", "-S", "-E", s.ca, "-n", "180000", "-z", "20", "-l", "100", "-p", port, "-u", "alice", "-w", servePassword, host)
	}()
	var talking []service.Session
	for deadline := time.Now().Add(30 * time.Second); len(talking) < 2 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		status, out, errs := sessions(t, control, "--user", "alice", "--json")
		var all []service.Session
		if err := json.Unmarshal([]byte(out), &all); err != nil || status != exitOK {
			t.Fatalf("exit status %d, %v: %s%s", status, err, out, errs)
		}
		talking = nil
		for _, a := range all {
			if len(a.Peers) == 1 && a.Peers[0].Up.Bytes > 0 && a.Peers[0].Down.Bytes > 0 {
				talking = append(talking, a)
			}
		}
	}
	if len(talking) < 2 || talking[0].Relay != talking[1].Peers[0].Peer || talking[1].Relay != talking[0].Peers[0].Peer ||
		talking[0].RelayProtocol != "tcp" || talking[0].TLS == "" || talking[0].ALPN != "stun.turn" {
		t.Fatalf("got %+v, want two that exchange streams with each other's relay", talking)
	}
	row := regexp.MustCompile(`(?m)^\d+ +alice +127\.0\.0\.1:\d+ +tls +` + regexp.QuoteMeta(talking[0].Relay) + ` .* ` +
		regexp.QuoteMeta(talking[0].Peers[0].Peer) + `$`)
	if status, out, errs := sessions(t, control, "--relay", talking[0].Relay); status != exitOK || !row.MatchString(out) || strings.Count(out, "\n") != 2 {
		t.Errorf("exit status %d, want the one of that relay:\n%s%s", status, out, errs)
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--kill", "99999"}, exitFail, "turngate: there is no connection 99999\n"},
		{[]string{"--kill-user", "bob"}, exitFail, "turngate: bob has no allocation\n"},
		{[]string{"--kill-user", "alice", "--json"}, exitUsage, "turngate: --kill and --kill-user go with no other choice\n"},
		{[]string{"--peer", "somewhere"}, exitUsage, "turngate: --peer: \"somewhere\": want ADDRESS, ADDRESS:PORT or a range such as 10.20.0.0/16\n"},
		{[]string{"--kill-user", "alice"}, exitOK, "killed 3 connections of alice\n"},
	} {
		if status, out, errs := sessions(t, control, tt.args...); status != tt.status || out+errs != tt.want {
			t.Errorf("%v: exit status %d, %s%s, want %d, %s", tt.args, status, out, errs, tt.status, tt.want)
		}
	}
	cancel()
	<-done
	s.end(t)
	audit, err := os.ReadFile(filepath.Join(s.dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	// Both ends have an allocation, and each stream a connection from either.
	for msg, least := range map[string]int{"peer permitted": 4, "stream bound": 4, "killed": 3} {
		if got := strings.Count(string(audit), `"msg":"`+msg+`"`); got < least {
			t.Errorf("%d times %q in the audit log, want %d at least", got, msg, least)
		}
	}
	if status, _, errs := sessions(t, control); status != exitFail || !strings.Contains(errs, "does a server run with --control "+control+"?") {
		t.Errorf("without a server: exit status %d, %s", status, errs)
	}
}

// What a user calls himself does not speak to the terminal, and a line stays a line.
func TestPrintSessions(t *testing.T) {
	var out bytes.Buffer
	err := printSessions(&out, []service.Session{
		{Identity: service.Identity{Connection: 7, Client: "10.0.0.1:5", Announced: "192.0.2.7:9", Transport: "tls", User: "eve\x1b[2J\n"}, Relay: "10.0.0.2:50000",
			Usage: service.Usage{Seconds: 3725.4, Up: service.Traffic{Bytes: 999}, Down: service.Traffic{Bytes: 1234567},
				Drops: map[string]uint64{"too_old": 2, "unsent": 3}, TCP: &service.ClientTCP{RTT: 21.25},
				Peers: []service.PeerUsage{{Peer: "10.0.0.3:1"}, {Peer: "10.0.0.3:2"}, {Peer: "10.0.0.4"}, {Peer: "10.0.0.5"}, {Peer: "others"}}}},
		{Identity: service.Identity{Connection: 8, Client: "10.0.0.1:6", Transport: "tcp", User: "bob"}, Relay: "10.0.0.2:50001"},
	})
	want := `NUMBER  USER            CLIENT       BY   RELAY           AGE     UP    DOWN    DROPPED  RTT     PEERS
7       "eve\x1b[2J\n"  192.0.2.7:9  tls  10.0.0.2:50000  1h2m5s  999B  1.23MB  5        21.2ms  10.0.0.3:1 10.0.0.3:2 10.0.0.4 and 2 more
8       bob             10.0.0.1:6   tcp  10.0.0.2:50001  0s      0B    0B      0        -       -
`
	if out.String() != want || err != nil {
		t.Errorf("got\n%s%v, want\n%s", &out, err, want)
	}
}
