package ntlmtest_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/ntlm/ntlmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A proxy is as little of an HTTP proxy as real NTLM clients need: CONNECT, behind an Acceptor.
type proxy struct {
	addr     string
	scheme   string
	acceptor *ntlmtest.Acceptor
	tunnels  sync.WaitGroup

	mu       sync.Mutex
	refusals []error
	types    []string // what arrived, to see that a client does what the test is about
}

type handshakeKey struct{}

// startProxy serves until the test ends.
func startProxy(t *testing.T, scheme string, a *ntlmtest.Acceptor, channelBinding []byte) *proxy {
	t.Helper()
	p := &proxy{scheme: scheme, acceptor: a}
	server := httptest.NewUnstartedServer(p)
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, handshakeKey{}, a.New(channelBinding))
	}
	server.Start()
	t.Cleanup(func() {
		server.Close()
		p.tunnels.Wait()
	})
	p.addr = server.Listener.Addr().String()
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
	challenge := ""
	if strings.EqualFold(scheme, p.scheme) {
		var user string
		var err error
		challenge, user, err = r.Context().Value(handshakeKey{}).(*ntlmtest.Handshake).Accept(credentials)
		p.note(credentials, err)
		if user != "" {
			p.tunnel(w, r)
			return
		}
	}
	w.Header().Set("Proxy-Authenticate", strings.TrimSpace(p.scheme+" "+challenge))
	http.Error(w, "who are you?", http.StatusProxyAuthRequired)
}

func (p *proxy) note(credentials string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.types = append(p.types, credentials[:min(4, len(credentials))])
	if err != nil {
		p.refusals = append(p.refusals, err)
	}
}

// seen returns the beginnings of the credentials and the refusals so far.
func (p *proxy) seen() (types []string, refusals []error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.types, p.refusals
}

// tunnel copies both ways until either side ends; the clients here send one request.
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	p.tunnels.Add(1)
	defer p.tunnels.Done()
	target, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer target.Close()
	w.WriteHeader(http.StatusOK)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	p.tunnels.Go(func() { copyAndClose(target, buffered.Reader) })
	_, _ = io.Copy(conn, target)
}

func copyAndClose(target net.Conn, from *bufio.Reader) {
	_, _ = io.Copy(target, from)
	_ = target.Close()
}

// startTarget serves one word.
func startTarget(t *testing.T) string {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "reached")
	}))
	t.Cleanup(target.Close)
	return target.URL
}

// corp has one account and demands nothing that old clients cannot do.
func corp() *ntlmtest.Acceptor {
	return &ntlmtest.Acceptor{
		Domain: "CORP", Host: "127.0.0.1", SPNEGO: true,
		Password: func(user, domain string) (string, bool) {
			ours := domain == "" || strings.EqualFold(domain, "CORP") || domain == "corp.example"
			return "pw-Alice1", ours && strings.EqualFold(user, "alice")
		},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
