package proxyconnect

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a proxy that plays from a sheet: of each connection, in the order they come, the answers
// to its requests, in the order they come. After its last answer it closes the connection; an
// answer of tunnelEcho makes it a tunnel that echoes.
type script [][]string

const (
	tunnelEcho = "HTTP/1.1 200 Connection established\r\n\r\n\x00echo"
	keepBasic  = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 6\r\n\r\ndenied"
)

// played is a script on the stage, and what it heard.
type played struct {
	url      string
	mu       sync.Mutex
	requests []string // "0: " and the head of a request on the first connection
}

func (s script) play(t *testing.T) *played {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &played{url: "http://" + l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(t, i, conn, s) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return p
}

func (p *played) serve(t *testing.T, i int, conn net.Conn, s script) {
	defer conn.Close()
	if i >= len(s) {
		t.Errorf("connection %d is not in the script", i)
		return
	}
	br := bufio.NewReader(conn)
	for _, answer := range s[i] {
		head, err := readRequestHead(br)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.requests = append(p.requests, string(rune('0'+i))+": "+head)
		p.mu.Unlock()
		text, echo := strings.CutSuffix(answer, "\x00echo")
		io.WriteString(conn, text)
		if echo {
			io.Copy(conn, br)
			return
		}
	}
}

func readRequestHead(br *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
		b.WriteString(line)
	}
}

// heard returns for each request the connection and the Proxy-Authorization, "0 -" without one.
func (p *played) heard() (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		credentials := "-"
		for line := range strings.Lines(r) {
			if v, ok := strings.CutPrefix(line, "Proxy-Authorization: "); ok {
				credentials = strings.TrimSpace(v)
			}
		}
		list = append(list, r[:1]+" "+credentials)
	}
	return list
}

// checkEcho proves that conn is a tunnel that loses nothing.
func checkEcho(t *testing.T, conn io.ReadWriter) {
	t.Helper()
	const text = "what goes in comes out"
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("echo: got %q, %v; want %q", got, err, text)
	}
}
