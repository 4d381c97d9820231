package realstack

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

func TestParseLine(t *testing.T) {
	tests := []struct {
		line, port string
		want       Request
		ok         bool
	}{
		{"1.2 20001 TCP_TUNNEL/200 alice CONNECT localhost:443\n", "20001", Request{200, "TCP_TUNNEL", "alice", "alice", "CONNECT", "localhost:443"}, true},
		{"1.2 20001 TCP_DENIED/407 - CONNECT localhost:443\n", "20001", Request{407, "TCP_DENIED", "", "", "CONNECT", "localhost:443"}, true},
		{`1.2 20001 TCP_TUNNEL/200 PROXYSRV\\alice CONNECT a:1` + "\n", "20001", Request{200, "TCP_TUNNEL", "alice", `PROXYSRV\alice`, "CONNECT", "a:1"}, true},
		{"1.2 20001 -/200 alice@LAB.TEST CONNECT a:1 HTTP/1.1\n", "20001", Request{200, "-", "alice", "alice@LAB.TEST", "CONNECT", "a:1"}, true},
		{"1.2 20001 TCP_TUNNEL/200 alice CONNECT localhost:443", "", Request{}, false}, // still being written
		{"1.2 20001 -/400 - -\n", "", Request{}, false},
		{"1.2 20001 -/x - CONNECT a:1\n", "", Request{}, false},
	}
	for _, test := range tests {
		port, got, ok := parseLine(test.line)
		if port != test.port || got != test.want || ok != test.ok {
			t.Errorf("%q\ngot  %q %+v %v\nwant %q %+v %v", test.line, port, got, ok, test.port, test.want, test.ok)
		}
	}
}

// FuzzParseLine: whatever a client makes a proxy log, a line is one request or none.
func FuzzParseLine(f *testing.F) {
	f.Add("1.2 20001 TCP_TUNNEL/200 PROXYSRV\\\\alice CONNECT localhost:443\n")
	f.Add("1.2 20001 -/200 alice@LAB.TEST CONNECT a:1 HTTP/1.1\n")
	f.Add("1.2 20001 NONE_NONE/000 - - error:transaction-end-before-headers\n")
	f.Fuzz(func(t *testing.T, line string) {
		_, r, ok := parseLine(line)
		if !ok && r != (Request{}) {
			t.Errorf("%q: no request, yet got %+v", line, r)
		}
		if ok && (r.Target == "" || !strings.Contains(strings.ReplaceAll(line, `\\`, `\`), r.Account)) {
			t.Errorf("%q: got %+v", line, r)
		}
	})
}

// FuzzBackdate: no cache makes it fail otherwise than by an error.
func FuzzBackdate(f *testing.F) {
	f.Add(sampleCache())
	f.Add([]byte{5, 4, 0, 0})
	f.Add([]byte{5, 4, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, file []byte) {
		n := len(file)
		if err := backdate(file, time.Hour); err == nil && n < 16 {
			t.Errorf("accepted %d bytes", n)
		}
	})
}

func TestBackdate(t *testing.T) {
	file := sampleCache()
	if err := backdate(file, time.Hour); err != nil {
		t.Fatal(err)
	}
	var got []uint32
	for i := range 4 {
		got = append(got, binary.BigEndian.Uint32(file[sampleTimes+4*i:]))
	}
	if want := [4]uint32{6400, 6401, 6402, 0}; [4]uint32(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	for n := range len(file) {
		if err := backdate(file[:n], time.Hour); err == nil && n != sampleFirst {
			t.Errorf("accepted the first %d bytes of %d", n, len(file))
		}
	}
}

// Where in sampleCache the only credential and its times begin.
const (
	sampleFirst = 2 + 2 + 20
	sampleTimes = sampleFirst + 2*20 + 2 + 4 + 3
)

func sampleCache() []byte {
	number := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	data := func(s string) string { return number(uint32(len(s))) + s }
	principal := number(1) + number(1) + data("RR") + data("uu")
	return []byte("\x05\x04\x00\x00" + principal + principal + principal + "\x00\x12" + data("key") +
		number(10000) + number(10001) + number(10002) + number(0) + "\x00" + number(0) +
		number(0) + number(1) + "\x00\x01" + data("a") + data("ticket") + data(""))
}
