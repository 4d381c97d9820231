package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/internal/peers"
)

// browserTime bounds one call of the browser, its start included. It takes about four seconds.
const browserTime = 75 * time.Second

// A browserCall is what testdata/call.html says of a call.
type browserCall struct {
	Echoed     int
	Frames     int
	NotRelayed int // candidates that are not relayed
	Protocol   string
	Address    string
	Errors     []string
	Error      string
	State      string
}

// Chromium calls itself, with video and data, over relayed candidates alone.
func TestChromium(t *testing.T) {
	peers.Need(t, "chromium")
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := browse(t, l, nil)
	if got.Error != "" || got.Echoed != 20 || got.Frames < 30 || got.NotRelayed != 0 || got.Protocol != "tcp" {
		t.Errorf("got %+v; want 20 echoes, 30 frames, relayed candidates only, over tcp", got)
	}
}

// Chromium finds its way through the proxy by Kerberos, with a ticket of the lab's KDC and without
// asking anybody: the one scheme for which a WebRTC connection has credentials by itself.
func TestChromiumThroughKerberosProxy(t *testing.T) {
	peers.Need(t, "chromium", "kinit")
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, p := range l.Proxies {
		if p.Scheme != lab.SchemeKerberos || p.TLS {
			continue
		}
		got := browse(t, l, &p)
		if got.Error != "" || got.Echoed != 20 || got.Frames < 30 || got.Protocol != "tcp" {
			t.Errorf("got %+v; want 20 echoes and 30 frames over tcp", got)
		}
		l.Close() // the proxy writes a tunnel down when it has ended
		users, err := p.Tunnels()
		want := l.User.Name + "@" + l.Realm
		if err != nil || len(users) < 2 || slices.ContainsFunc(users, func(u string) bool { return u != want }) {
			t.Errorf("tunnels of %q, %v; want two at least (one for each network of each end), all of %s", users, err, want)
		}
		return
	}
	t.Fatal("the lab has no Kerberos proxy")
}

// browse has Chromium open the page, through a proxy or not.
func browse(t *testing.T, l *lab.Lab, p *lab.Proxy) (got browserCall) {
	t.Helper()
	results := make(chan browserCall, 1)
	page := httptest.NewServer(pages(t, l, results))
	defer page.Close()
	dir := t.TempDir()
	args := []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
		"--user-data-dir=" + filepath.Join(dir, "profile")}
	env := append(os.Environ(), "HOME="+dir)
	if p != nil {
		page := strings.TrimPrefix(page.URL, "http://")
		args = append(args, "--proxy-server="+p.URL, "--proxy-bypass-list=<-loopback>;"+page, "--auth-server-allowlist=localhost")
		env = append(env, ticket(t, l, dir)...)
	}
	var log bytes.Buffer
	cmd := exec.Command(peers.Find("chromium"), append(args, "--enable-logging=stderr", page.URL+"/call.html")...)
	cmd.Env, cmd.Stderr, cmd.WaitDelay = env, &log, 5*time.Second
	killTogether(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		end(cmd)
		if t.Failed() || got.Error != "" {
			t.Logf("Chromium said:\n%s", log.String())
		}
	}()
	select {
	case got = <-results:
	case <-time.After(browserTime):
		got.Error = fmt.Sprintf("no result within %v", browserTime)
	}
	return got
}

// pages serves the page, what it is configured with, and takes its result.
func pages(t *testing.T, l *lab.Lab, results chan<- browserCall) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /call.html", http.FileServer(http.Dir("testdata")))
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"iceTransportPolicy": "relay",
			"iceServers": []any{map[string]string{
				"urls": "turn:" + l.TURN.TCP + "?transport=tcp", "username": l.TURN.User.Name, "credential": l.TURN.User.Password,
			}},
		})
	})
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		var c browserCall
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16)).Decode(&c); err != nil {
			c.Error = err.Error()
		}
		select {
		case results <- c:
		default:
		}
	})
	return mux
}

// ticket gets one with MIT's kinit and returns the environment in which Chromium finds it.
func ticket(t *testing.T, l *lab.Lab, dir string) []string {
	t.Helper()
	conf := filepath.Join(dir, "krb5.conf")
	if err := os.WriteFile(conf, []byte(l.Krb5Conf), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"KRB5_CONFIG=" + conf, "KRB5CCNAME=FILE:" + filepath.Join(dir, "ccache")}
	kinit := exec.Command(peers.Find("kinit"), l.User.Name+"@"+l.Realm)
	kinit.Env, kinit.Stdin = append(os.Environ(), env...), strings.NewReader(l.User.Password+"\n")
	if out, err := kinit.CombinedOutput(); err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	return env
}
