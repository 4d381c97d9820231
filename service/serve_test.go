package service

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// call is an allocation with a channel to a peer of the test's.
type call struct {
	*turntcp.Client
	channel uint16
	peer    *net.UDPConn
	data    chan string
}

func startCall(t *testing.T, r *running) *call {
	t.Helper()
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	c := &call{peer: peer, data: make(chan string, 10)}
	c.Client = r.allocate(t, "alice", alicePassword, func(d turntcp.Data) { c.data <- string(d.Payload) })
	if c.channel, err = c.Bind(soon(t), netip.MustParseAddrPort(peer.LocalAddr().String())); err != nil {
		t.Fatal(err)
	}
	return c
}

// check sends through the relay and back, and refreshes.
func (c *call) check(t *testing.T, when string) {
	t.Helper()
	if err := c.WriteChannel(c.channel, []byte(when)); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	buf := make([]byte, 100)
	if err := c.peer.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := c.peer.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != when {
		t.Fatalf("%s: the peer got %q, %v", when, buf[:n], err)
	}
	if _, err := c.peer.WriteToUDPAddrPort(buf[:n], from); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-c.data:
		if got != when {
			t.Fatalf("%s: got back %q", when, got)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing came back", when)
	}
	if _, err := c.Refresh(soon(t), 10*time.Minute); err != nil {
		t.Fatalf("%s: refresh: %v", when, err)
	}
}

func TestReload(t *testing.T) {
	r := serve(t, nil)
	c := startCall(t, r)
	c.check(t, "before")
	if got := r.serial(t); got != 1 {
		t.Errorf("certificate %d, want 1", got)
	}

	write(t, r.dir, "users", "alice:"+alicePassword+"\nbob:"+bobPassword+"\n")
	write(t, r.dir, "secrets", "south\n"+firstSecret+"\n")
	writeCertificate(t, r.dir, 2, time.Now().Add(time.Hour))
	r.signals <- syscall.SIGHUP
	r.log.await(t, "msg=reloaded users=2 secrets=2", 1)
	if got := r.serial(t); got != 2 {
		t.Errorf("certificate %d after the reload, want 2", got)
	}
	for _, secret := range []string{"south", firstSecret} {
		user, password := turntcp.RESTCredential(secret, "carol", time.Hour, time.Now())
		r.allocate(t, user, password, nil)
	}
	r.allocate(t, "bob", bobPassword, nil)
	c.check(t, "after")

	// All or nothing: the users are good, the secrets are not.
	write(t, r.dir, "users", "alice:"+alicePassword+"\n")
	write(t, r.dir, "secrets", "# none\n")
	r.signals <- syscall.SIGHUP
	r.log.await(t, "not reloaded", 1)
	if want := "auth-secret-file: " + filepath.Join(r.dir, "secrets") + ": no secrets"; !strings.Contains(r.log.String(), want) {
		t.Errorf("no %q in the log:\n%s", want, r.log)
	}
	r.allocate(t, "bob", bobPassword, nil)
	c.check(t, "after a reload that failed")
}

// Who is no user any more keeps the allocation until it must be refreshed.
func TestReloadWithoutAUser(t *testing.T) {
	r := serve(t, nil)
	c := startCall(t, r)
	write(t, r.dir, "users", "bob:"+bobPassword+"\n")
	r.signals <- syscall.SIGHUP
	r.log.await(t, "msg=reloaded", 1)
	if err := c.WriteChannel(c.channel, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if n, _, err := c.peer.ReadFromUDPAddrPort(make([]byte, 100)); n != 10 || err != nil {
		t.Errorf("the peer got %d bytes, %v, want 10", n, err)
	}
	var refused *turntcp.Error
	if _, err := c.Refresh(soon(t), 10*time.Minute); !errors.As(err, &refused) || refused.Code != 401 {
		t.Errorf("refresh: got %v, want error 401", err)
	}
}

// An audit log that cannot be written is told of at once, and costs nobody a call.
func TestAuditDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	r := serve(t, func(_ string, flags map[string][]string) { flags["audit"] = []string{"/dev/full"} })
	c := startCall(t, r)
	r.log.await(t, `level=ERROR msg="audit log: records are lost" error="write /dev/full: no space left on device"`, 1)
	c.check(t, "with a full disk")
}

func TestDrain(t *testing.T) {
	r := serve(t, nil)
	c, idle := startCall(t, r), r.client(t, "alice", alicePassword, nil)
	if _, err := idle.Binding(soon(t)); err != nil { // it was accepted
		t.Fatal(err)
	}
	r.signals <- syscall.SIGTERM
	r.log.await(t, "msg=draining allocations=1", 1)

	for _, addr := range []string{r.tcp, r.tls} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still accepts connections", addr)
		}
	}
	var refused *turntcp.Error
	if a, err := idle.Allocate(soon(t)); !errors.As(err, &refused) || refused.Code != 508 {
		t.Errorf("a new allocation: got %v, %v, want error 508", a, err)
	}
	c.check(t, "draining")
	r.signals <- syscall.SIGHUP
	r.log.await(t, "msg=reloaded", 1)
	c.check(t, "draining, after a reload")
	if _, err := c.Refresh(soon(t), 0); err != nil {
		t.Errorf("delete: %v", err)
	}
	r.wait(t)
	if log := r.log.String(); strings.Contains(log, "level=WARN") || !strings.Contains(log, "msg=stopped") {
		t.Errorf("want an end without warnings:\n%s", log)
	}
}

func TestDrainEnds(t *testing.T) {
	tests := []struct {
		name, timeout string
		signals       []os.Signal
		want          string
	}{
		{"at the time", "10ms", []os.Signal{syscall.SIGTERM}, `msg="draining took too long" "allocations cut off"=1`},
		{"at the second signal", "1h", []os.Signal{syscall.SIGTERM, os.Interrupt}, `msg="second signal" signal=interrupt "allocations cut off"=1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := serve(t, func(_ string, flags map[string][]string) { flags["drain-timeout"] = []string{tt.timeout} })
			c := startCall(t, r)
			for _, s := range tt.signals {
				r.signals <- s
			}
			r.wait(t)
			select {
			case <-c.Done():
			case <-time.After(20 * time.Second):
				t.Error("the client was not cut off")
			}
			if !strings.Contains(r.log.String(), tt.want) {
				t.Errorf("no %q in the log:\n%s", tt.want, r.log)
			}
		})
	}
}

// Where one port cannot be had, the others are given back.
func TestListenEverywhereOrNowhere(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free.Close()
	dir := t.TempDir()
	cfg, err := Load(Sources{Flags: map[string][]string{
		"listen": {"tcp://" + free.Addr().String(), "tcp://" + taken.Addr().String()},
		"realm":  {"test"}, "relay-ip": {"127.0.0.1"}, "users": {write(t, dir, "users", "alice:"+alicePassword+"\n")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := new(logBuffer)
	err = Serve(context.Background(), cfg, Process{Stdout: log, Stderr: log, Ready: func([]net.Addr) { t.Error("it says it is ready") }})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("got %v, want that %s is in use", err, taken.Addr())
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the first port was not given back: %v", err)
	}
	again.Close()
}

func TestAudit(t *testing.T) {
	r := serve(t, func(dir string, flags map[string][]string) {
		flags["audit"] = []string{filepath.Join(dir, "audit")}
		flags["log-format"] = []string{"json"}
		flags["log-level"] = []string{"warn"}
	})
	path := filepath.Join(r.dir, "audit")
	c := startCall(t, r)
	c.check(t, "eleven here")
	eventually(t, "the allocation is in the audit log", func() bool { return len(auditLines(t, path)) > 1 })

	// Moved away, as logrotate does: the rest goes to a new file.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	r.signals <- syscall.SIGHUP
	eventually(t, "the file was opened anew", func() bool { _, err := os.Stat(path); return err == nil })
	if _, err := c.Refresh(soon(t), 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end is in the new audit log", func() bool { return len(auditLines(t, path)) > 0 })

	created, permitted := auditLines(t, path+".1")[0], only(t, path+".1", "peer permitted")
	deleted := only(t, path, "allocation deleted")
	peer, traffic := c.peer.LocalAddr().String(), map[string]any{"packets": 1.0, "bytes": 11.0}
	for key, want := range map[string]any{
		"msg": "allocation deleted", "connection": created["connection"], "client": created["client"], "relay": created["relay"],
		"transport": "tcp", "user": "alice", "realm": "test", "relay_protocol": "udp", "created": created["created"],
		"up": traffic, "down": traffic, "reason": "client_deleted", "drops": nil,
		"peers": []any{map[string]any{"peer": peer, "up": traffic, "down": traffic}},
	} {
		if got := deleted[key]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v at the end, want %v", key, got, want)
		}
	}
	if permitted["peer"] != peer || permitted["by"] != "channel" || permitted["user"] != "alice" || permitted["relay"] != created["relay"] {
		t.Errorf("got %v, want that %s was permitted", permitted, peer)
	}
	if client, ok := created["client"].(string); !ok || !strings.HasPrefix(client, "127.0.0.1:") || created["msg"] != "allocation created" {
		t.Errorf("got %v, want a client's allocation", created)
	}
	if lived, ok := deleted["seconds"].(float64); !ok || lived <= 0 {
		t.Errorf("it lived for %v, want seconds", deleted["seconds"])
	}
	if _, known := deleted["tcp"]; !known && runtime.GOOS == "linux" {
		t.Errorf("no round trips in %v", deleted)
	}
	if log := r.log.String(); log != "" {
		t.Errorf("the log has a level of its own; got %s", log)
	}
}

func auditLines(t *testing.T, path string) (records []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%s: %v in %q", path, err, line)
		}
		records = append(records, record)
	}
	return records
}

// only is the only record of its kind.
func only(t *testing.T, path, msg string) (found map[string]any) {
	t.Helper()
	for _, r := range auditLines(t, path) {
		if r["msg"] != msg {
			continue
		}
		if found != nil {
			t.Errorf("%s: more than one %q", path, msg)
		}
		found = r
	}
	if found == nil {
		t.Fatalf("%s: no %q in %v", path, msg, auditLines(t, path))
	}
	return found
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	r := serve(t, nil)
	r.signals <- syscall.SIGHUP
	r.signals <- syscall.SIGTERM
	buf := make([]byte, 100)
	for _, want := range []string{"READY=1", "RELOADING=1", "READY=1", "STOPPING=1"} {
		if err := socket.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("got %q, %v, want %q", buf[:n], err, want)
		}
	}
}

// A key of coturn's turnadmin stands for a password, and the three kinds of listener serve.
func TestKeysAndAuto(t *testing.T) {
	key := md5.Sum([]byte("keyed:test:its password"))
	r := serve(t, func(dir string, flags map[string][]string) {
		write(t, dir, "users", fmt.Sprintf("alice:%s\nkeyed:0x%x\n", alicePassword, key))
		flags["listen"] = []string{"auto://127.0.0.1:0", "tls://127.0.0.1:0"}
	})
	r.allocate(t, "keyed", "its password", nil)
	r.allocate(t, "alice", alicePassword, nil)
	r.tls = r.tcp
	if got := r.serial(t); got != 1 {
		t.Errorf("certificate %d by auto://, want 1", got)
	}
	if log := r.log.String(); strings.Contains(log, fmt.Sprintf("%x", key)) {
		t.Error("the key is in the log")
	}
}
