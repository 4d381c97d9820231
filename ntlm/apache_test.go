//go:build linux

package ntlm_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/ntlm/internal/nlmp"
)

const apacheConf = `ServerRoot DIR
ServerName proxy.example.test
PidFile DIR/httpd.pid
DefaultRuntimeDir DIR
Mutex file:DIR default
ErrorLog DIR/error.log
LogLevel info auth_gssapi:debug
LoadModule mpm_event_module MODULES/mod_mpm_event.so
LoadModule authn_core_module MODULES/mod_authn_core.so
LoadModule authz_core_module MODULES/mod_authz_core.so
LoadModule authz_user_module MODULES/mod_authz_user.so
LoadModule auth_gssapi_module MODULES/mod_auth_gssapi.so
LoadModule proxy_module MODULES/mod_proxy.so
LoadModule proxy_connect_module MODULES/mod_proxy_connect.so
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
KeepAlive On
ProxyRequests On
AllowCONNECT 1024-65535
Listen ADDR
<Proxy "*">
  AuthType GSSAPI
  AuthName lab
  GssapiAllowedMech ntlmssp
  GssapiConnectionBound On
  Require valid-user
</Proxy>
`

// startApache runs Apache as a proxy that verifies NTLM with gss-ntlmssp under MIT's GSS-API: an
// implementation that shares nothing with Samba or with us.
func startApache(t *testing.T) (addr string) {
	t.Helper()
	peers.Need(t, "apache2", "mod_auth_gssapi.so", "mod_proxy_connect.so", "gssntlmssp/gssntlmssp.so")
	s := newSandbox(t)
	addr = freeAddr(t)
	modules := strings.TrimSuffix(peers.Find("mod_auth_gssapi.so"), "/mod_auth_gssapi.so")
	s.write(t, "httpd.conf", strings.NewReplacer("DIR", s.dir, "MODULES", modules, "ADDR", addr).Replace(apacheConf))
	s.write(t, "users", "REALSTACK:alice:pw-Alice1\n")
	s.giveAway(t)
	cmd := s.command("apache2", "-X", "-d", s.dir, "-f", s.path("httpd.conf"))
	cmd.Env = append(cmd.Env, "NTLM_USER_FILE="+s.path("users"), "NETBIOS_COMPUTER_NAME=PROXY", "NETBIOS_DOMAIN_NAME=REALSTACK")
	s.start(t, cmd)
	t.Cleanup(func() {
		if log, err := os.ReadFile(s.path("error.log")); err == nil && t.Failed() {
			t.Logf("error.log:\n%s", log)
		}
	})
	waitFor(t, "apache", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			must(t, conn.Close())
		}
		return err == nil
	})
	return addr
}

// freeAddr finds a port for a program that cannot choose one itself.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

func TestApacheVerifiesUs(t *testing.T) {
	addr := startApache(t)
	target := listenAndClose(t)
	alice := &ntlm.Client{User: `REALSTACK\alice`, Password: "pw-Alice1"}
	spnego := &ntlm.Client{User: `REALSTACK\alice`, Password: "pw-Alice1", SPNEGO: true}
	wrong := &ntlm.Client{User: `REALSTACK\alice`, Password: "wrong"}
	wrongSPNEGO := &ntlm.Client{User: `REALSTACK\alice`, Password: "wrong", SPNEGO: true}
	for _, c := range []struct {
		name, scheme string
		client       *ntlm.Client
		tamper       tamper
		want         int
	}{
		{"NTLM", "NTLM", alice, tamper{}, 200},
		{"NTLM, no domain", "NTLM", &ntlm.Client{User: "alice", Password: "pw-Alice1"}, tamper{}, 200},
		{"NTLM in Negotiate", "Negotiate", alice, tamper{}, 200},
		{"SPNEGO in Negotiate", "Negotiate", spnego, tamper{}, 200},
		{"wrong password", "NTLM", wrong, tamper{}, 407},
		{"wrong password, SPNEGO", "Negotiate", wrongSPNEGO, tamper{}, 407},
		{"MIC flipped", "NTLM", alice, tamper{response: flip(nlmp.OffsetMIC)}, 407},
		{"challenge altered on the way", "NTLM", alice, tamper{challenge: flip(20 + 3)}, 407},
		{"SPNEGO, signature of the list flipped", "Negotiate", spnego, tamper{response: flip(-5)}, 407},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, err := connect(t, addr, target, c.scheme, c.client, c.tamper)
			if status != c.want || rejected(err) != (c.want == 407) {
				t.Errorf("got status %d and %v, want %d", status, err, c.want)
			}
		})
	}
}

// listenAndClose is a target that accepts and closes connections.
func listenAndClose(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		must(t, l.Close())
		<-done
	})
	return l.Addr().String()
}

// connect asks a proxy for a tunnel and returns its last status, and what the client made of a 407.
func connect(t *testing.T, proxy, target, scheme string, c *ntlm.Client, w tamper) (status int, err error) {
	t.Helper()
	conn, err := net.Dial("tcp", proxy)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	replies := bufio.NewReader(conn)
	e, err := c.Begin("127.0.0.1", nil)
	must(t, err)
	challenge, changes := "", []func([]byte){w.negotiate, w.response, nil}
	for _, change := range changes {
		credentials, err := e.Next(t.Context(), challenge)
		if err != nil {
			return status, err
		}
		_, err = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\nProxy-Authorization: %s %s\r\n\r\n", target, scheme, apply(t, change, credentials))
		must(t, err)
		resp, err := http.ReadResponse(replies, &http.Request{Method: http.MethodConnect})
		must(t, err)
		if status = resp.StatusCode; status != http.StatusProxyAuthRequired {
			return status, nil
		}
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
		must(t, err)
		challenge = challengeOf(resp, scheme)
		if challenge != "" {
			challenge = apply(t, w.challenge, challenge)
		}
	}
	t.Fatal("neither accepted nor rejected after three rounds")
	return 0, nil
}

// challengeOf finds what follows the scheme in the response's challenges.
func challengeOf(resp *http.Response, scheme string) string {
	for _, field := range resp.Header.Values("Proxy-Authenticate") {
		if name, token, _ := strings.Cut(field, " "); strings.EqualFold(name, scheme) {
			return token
		}
	}
	return ""
}
