package service

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/turntcp"
)

func needLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a control socket needs Linux")
	}
}

// withControl is a service with a control socket, in a directory that it makes.
func withControl(t *testing.T) (*running, Control) {
	needLinux(t)
	var c Control
	r := serve(t, func(dir string, flags map[string][]string) {
		c.Path = filepath.Join(dir, "run", "control")
		flags["control"] = []string{c.Path}
		flags["audit"] = []string{filepath.Join(dir, "audit")}
	})
	return r, c
}

func TestSessions(t *testing.T) {
	r, control := withControl(t)
	c := startCall(t, r)
	c.check(t, "eleven here")
	user, password := turntcp.RESTCredential(firstSecret, "carol", time.Hour, time.Now())
	r.allocate(t, user, password, nil)
	peer := c.peer.LocalAddr().String()
	all, err := control.Sessions(soon(t), Filter{})
	if err != nil || len(all) != 2 {
		t.Fatalf("got %+v, %v, want two sessions", all, err)
	}
	tests := []struct {
		filter Filter
		want   string // users
	}{
		{Filter{User: "alice"}, "alice"},
		{Filter{User: "ali"}, ""},
		{Filter{Peer: peer}, "alice"},
		{Filter{Peer: "127.0.0.1"}, "alice"},
		{Filter{Peer: "127.0.0.0/8", User: "carol"}, ""},
		{Filter{Client: "127.0.0.0/8", User: "carol"}, "carol"},
		{Filter{Client: "10.0.0.0/8"}, ""},
	}
	for _, s := range all {
		tests = append(tests, struct {
			filter Filter
			want   string
		}{Filter{Relay: s.Relay}, s.User}, struct {
			filter Filter
			want   string
		}{Filter{Client: s.Client}, s.User})
	}
	for _, tt := range tests {
		sessions, err := control.Sessions(soon(t), tt.filter)
		var users []string
		for _, s := range sessions {
			users = append(users, s.User)
		}
		if got := strings.Join(users, " "); got != tt.want || err != nil {
			t.Errorf("%+v: got %q, %v, want %q", tt.filter, got, err, tt.want)
		}
	}
	alices, err := control.Sessions(soon(t), Filter{User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	got, traffic := alices[0], Traffic{1, 11}
	want := Session{
		Identity: Identity{Connection: got.Connection, Client: got.Client, Transport: "tcp", User: "alice", Realm: "test"},
		Relay:    got.Relay, RelayProtocol: "udp", Created: got.Created,
		Usage: Usage{Seconds: got.Seconds, Up: traffic, Down: traffic, Peers: []PeerUsage{{peer, traffic, traffic}}, TCP: got.TCP},
	}
	if !reflect.DeepEqual(got, want) || got.TCP == nil || got.Seconds <= 0 {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestKill(t *testing.T) {
	r, control := withControl(t)
	c := startCall(t, r)
	user, password := turntcp.RESTCredential(firstSecret, "carol", time.Hour, time.Now())
	others := []*turntcp.Client{r.allocate(t, user, password, nil), r.allocate(t, user, password, nil)}
	alices, err := control.Sessions(soon(t), Filter{User: "alice"})
	if err != nil || len(alices) != 1 {
		t.Fatalf("got %+v, %v", alices, err)
	}
	for _, want := range []int{1, 0} {
		if n, err := control.Kill(soon(t), alices[0].Connection); n != want || err != nil {
			t.Errorf("kill alice's connection: got %d, %v, want %d", n, err, want)
		}
		<-c.Done()
		path := filepath.Join(r.dir, "audit")
		eventually(t, "the end is in the audit log", func() bool {
			for _, l := range auditLines(t, path) {
				if l["msg"] == "allocation deleted" && l["reason"] == "killed" && l["user"] == "alice" {
					return true
				}
			}
			return false
		})
		if killed := only(t, path, "killed"); killed["detail"] != fmt.Sprintf("by uid %d", os.Geteuid()) || killed["user"] != "alice" {
			t.Errorf("got %v, want who killed whom", killed)
		}
	}
	if n, err := control.KillUser(soon(t), "carol"); n != 2 || err != nil {
		t.Errorf("kill carol: got %d, %v, want 2", n, err)
	}
	for _, c := range others {
		<-c.Done()
	}
}

// Whatever is written to the socket, it is answered or closed, and the next one is served.
func TestControlSurvivesGarbage(t *testing.T) {
	_, control := withControl(t)
	for _, garbage := range []string{
		"", "\n", "\x00\xff\xfe", "GET\r\n\r\n", "GET /sessions HTTP/1.1\r\n\r\n", // no Host
		"GET /sessions?user=a&user=b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /kill HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "DELETE /kill?user=alice HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /sessions HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
	} {
		nc, err := net.Dial("unix", control.Path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Write([]byte(garbage)) // may fail: the server has heard enough
		_ = nc.(*net.UnixConn).CloseWrite()
		answer := make([]byte, 20)
		if n, _ := nc.Read(answer); strings.Contains(string(answer[:n]), " 200 ") {
			t.Errorf("%.50q: got %q", garbage, answer[:n])
		}
		nc.Close()
	}
	if _, err := control.Sessions(soon(t), Filter{}); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// The socket is for root and the server's own user, of which the kernel says who it is; curl is a program
// of another user's.
func TestControlIsGuarded(t *testing.T) {
	r, control := withControl(t)
	for path, want := range map[string]os.FileMode{filepath.Dir(control.Path): 0o700, control.Path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	peers.Need(t, "curl")
	ask := exec.Command("curl", "-sS", "--max-time", "10", "--unix-socket", control.Path, "http://turngate/sessions")
	if out, err := ask.CombinedOutput(); err != nil || string(out) != "[]\n" {
		t.Errorf("curl as this user: %q, %v, want an empty list", out, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can ask as somebody else")
	}
	// Let him reach it, to see that the kernel's word counts.
	for path := control.Path; len(path) > len(os.TempDir()); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	ask = exec.Command(ask.Args[0], ask.Args[1:]...)
	ask.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := ask.CombinedOutput(); err == nil || strings.Contains(string(out), "[]") {
		t.Errorf("curl as somebody else: %q, %v, want nothing", out, err)
	}
	r.log.await(t, "uid 65534 is neither root nor the server's own user", 1)
}

// What is left of a server that is no more is replaced, and one that drains is succeeded; one that serves
// is in the way, and so is a directory of others.
func TestControlPath(t *testing.T) {
	needLinux(t)
	dir := t.TempDir()
	private := filepath.Join(dir, "run")
	path := filepath.Join(private, "control")
	if l, err := listenPrivately(path); err != nil {
		t.Fatal(err)
	} else {
		l.Close() // the socket stays, as after a crash
	}
	with := func(_ string, flags map[string][]string) { flags["control"] = []string{path} }
	first := serve(t, with)
	c := startCall(t, first)
	if _, err := listenPrivately(path); err == nil || !strings.Contains(err.Error(), "another server serves it") {
		t.Errorf("with a server that serves: got %v", err)
	}
	first.signals <- syscall.SIGTERM
	first.log.await(t, "msg=draining", 1)
	second := serve(t, with)
	if _, err := c.Refresh(soon(t), 0); err != nil {
		t.Fatal(err)
	}
	first.wait(t)
	startCall(t, second)
	if sessions, err := (Control{Path: path}).Sessions(soon(t), Filter{}); err != nil || len(sessions) != 1 {
		t.Errorf("the successor: got %v, %v, want its session", sessions, err)
	}
	second.signals <- syscall.SIGTERM
	second.signals <- syscall.SIGTERM
	second.wait(t)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if _, err := (Control{Path: path}).Sessions(soon(t), Filter{}); err == nil || !strings.Contains(err.Error(), "does a server run") {
		t.Errorf("without a server: got %v", err)
	}

	write(t, private, "file", "")
	if err := os.Mkdir(filepath.Join(dir, "open"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(private, "file"):           "is there and no socket",
		filepath.Join(private, "file", "socket"): "is no directory",
		filepath.Join(dir, "open", "socket"):     "chmod 700 (it has mode 0755)",
		filepath.Join(dir, "no", "such", "one"):  "no such file or directory",
	} {
		if l, err := listenPrivately(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %q", path, l, err, want)
		}
	}
}
