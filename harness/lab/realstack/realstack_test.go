//go:build linux

package realstack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-ntlmssp"
	"github.com/turngate/turngate/internal/peers"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		victim()
		return
	}
	goleak.VerifyTestMain(m)
}

// needed are the programs of the whole Stack and the client of the tests.
var needed = []string{
	"squid", "basic_ncsa_auth", "digest_file_auth", "negotiate_kerberos_auth", "negotiate_wrapper_auth",
	"apache2", "mod_auth_gssapi.so", "htpasswd", "tinyproxy", "winbindd", "ntlm_auth", "pdbedit",
	"libnss_wrapper.so", "libuid_wrapper.so", "krb5kdc", "kdb5_util", "kadmin.local", "kinit", "curl",
}

// The passwords are random, so that finding one anywhere is no accident; carol's has every sign that
// a configuration file or a helper's protocol could stumble over.
var (
	alice = User{"alice", "Aa1." + rand.Text()}
	bob   = User{"bob", "Bb2-" + rand.Text()}
	carol = User{"carol", `p w:"@\'%41#$&` + rand.Text()}
	umlau = User{"dora", "päß→" + rand.Text()}
	users = []User{alice, bob, carol, umlau}
)

// deadline bounds each wait of the tests.
const deadline = 60 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// logWriter shows what Start logs in the test's log.
type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// A bench is a running Stack, a target behind it, and the certificate of both.
type bench struct {
	*Stack
	cert   string // path, for curl
	target string // host:port of an https server
	port   string
}

func newBench(t *testing.T, only ...string) *bench {
	t.Helper()
	peers.Need(t, needed...)
	certPEM, keyPEM := certificate(t)
	began := time.Now()
	stack, err := Start(within(t), Config{Users: users, CertPEM: certPEM, KeyPEM: keyPEM, Only: only, Log: logWriter{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("all ready after %.2f s", time.Since(began).Seconds())
	t.Cleanup(func() {
		if t.Failed() {
			stack.Logs(logWriter{t})
		}
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{Stack: stack, cert: filepath.Join(t.TempDir(), "cert.pem")}
	if err := os.WriteFile(b.cert, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	b.target = target(t, certPEM, keyPEM)
	_, b.port, _ = net.SplitHostPort(b.target)
	return b
}

// target is an https server that says ok.
func target(t *testing.T, certPEM, keyPEM []byte) string {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }),
		ErrorLog: log.New(io.Discard, "", 0), // clients that hang up
	}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String()
}

func certificate(t *testing.T) (certPEM, keyPEM []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "realstack test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", RemoteName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// A login is how curl shall authenticate.
type login struct {
	scheme string // Basic, Digest, NTLM, Negotiate, or NTLM-in-Negotiate
	user   User
	cache  string // Negotiate: the credential cache
}

// curl opens a tunnel through the proxy to host:port and asks the https server there. It returns the
// status of the CONNECT and of the request, "000" where there was none. curl, not we, speaks all the
// schemes here; it gets passwords by standard input.
func (b *bench) curl(t testing.TB, p Proxy, to string, l login) (connect, status string) {
	t.Helper()
	config := fmt.Sprintf("proxy = %q\nproxy-cacert = %q\ncacert = %q\nurl = \"https://%s/\"\n", p.URL, b.cert, b.cert, to)
	config += "silent\noutput = \"/dev/null\"\nmax-time = 60\nwrite-out = \"%{http_connect} %{http_code}\"\nnoproxy = \"\"\n"
	env := []string{"PATH=" + os.Getenv("PATH"), "KRB5_CONFIG=" + b.Krb5Conf(), "KRB5CCNAME=FILE:" + l.cache, "LC_ALL=C.UTF-8"}
	// The option takes user and password URL-encoded, its value stands in quotes.
	secret := strings.NewReplacer("%", "%25", `\`, `\\`, `"`, `\"`).Replace(l.user.Name + ":" + l.user.Password)
	switch l.scheme {
	case "Negotiate":
		config += "proxy-negotiate\nproxy-user = \":\"\n"
	case "NTLM-in-Negotiate": // by the GSSAPI plugin gss-ntlmssp, on curl's side too
		config += "proxy-negotiate\nproxy-user = \":\"\n"
		file := filepath.Join(t.TempDir(), "ntlm.users")
		if err := os.WriteFile(file, []byte(Domain+":"+l.user.Name+":"+l.user.Password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, "NTLM_USER_FILE="+file, "NTLMUSER="+l.user.Name)
	default:
		config += "proxy-" + strings.ToLower(l.scheme) + "\nproxy-user = \"" + secret + "\"\n"
	}
	cmd := exec.CommandContext(within(t), "curl", "-q", "-K", "-")
	cmd.Stdin, cmd.Env = strings.NewReader(config), env
	out, err := cmd.Output()
	connect, status, found := strings.Cut(string(out), " ")
	if !found {
		t.Fatalf("curl through %v: %v, said %q", p, err, out)
	}
	return connect, status
}

// schemes are what curl shall try at a proxy.
func schemes(p Proxy) []string {
	switch {
	case p.Scheme == AllSchemes:
		return []string{"Basic", "Digest", "NTLM", "Negotiate"}
	case p.Name == "apache" && p.Scheme == "NTLM":
		return []string{"NTLM-in-Negotiate"} // gss-ntlmssp cannot read the 32 bytes that curl's own NTLM sends first
	}
	return []string{p.Scheme}
}

// rawNTLM sends NTLM messages as they are under Negotiate, made by another NTLM client than curl's,
// and returns the status of the last CONNECT.
func rawNTLM(t *testing.T, p Proxy, to string, u User) int {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.URL, "http://"), deadline)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	reader := bufio.NewReader(conn)
	connect := func(token []byte) *http.Response {
		fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Negotiate %s\r\n\r\n",
			to, to, base64.StdEncoding.EncodeToString(token))
		response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != 200 {
			io.Copy(io.Discard, response.Body)
		}
		return response
	}
	negotiate, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, offer := range connect(negotiate).Header.Values("Proxy-Authenticate") {
		encoded, found := strings.CutPrefix(offer, "Negotiate ")
		if !found {
			continue
		}
		challenge, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := ntlmssp.NewAuthenticateMessage(challenge, u.Name, u.Password, nil)
		if err != nil {
			t.Fatal(err)
		}
		return connect(answer).StatusCode
	}
	t.Fatalf("%v sent no challenge", p)
	return 0
}
