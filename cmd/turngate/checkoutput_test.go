package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	//lint:ignore SA1019 the NT hash is MD4 (MS-NLMP 3.3.1)
	"golang.org/x/crypto/md4"

	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/internal/junit"
)

// unpack returns the files of a bundle.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
}

// secrets are all that must not be shown: passwords, what is made of them, and what goes over the wire
// with them.
func (b *checkBench) secrets() map[string]string {
	user := b.lab.User
	hash := md4.New()
	for _, unit := range utf16.Encode([]rune(user.Password)) {
		hash.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	return map[string]string{
		"the user's password": user.Password, "the TURN password": b.lab.TURN.User.Password,
		"Basic's credentials": base64.StdEncoding.EncodeToString([]byte(user.Name + ":" + user.Password)),
		"the NT hash":         hex.EncodeToString(hash.Sum(nil)),
		"an NTLM message":     "TlRMTVNTUAA", "a Kerberos token": "YII", "a Digest response": "response=", "credentials": "Proxy-Authorization:",
	}
}

// No output holds a secret, whatever the scheme, accepted or rejected; the bundle holds the rest.
func TestCheckSecrets(t *testing.T) {
	b := newCheckBench(t)
	wrong := b.write(t, "wrong", "wr0ng-Password-1")
	for _, p := range b.lab.Proxies {
		for _, password := range []string{b.path("password"), wrong} {
			t.Setenv("HTTPS_PROXY", "http://"+b.lab.User.Name+":"+b.lab.User.Password+"@proxy.corp:8080")
			got := b.check(t, b.args(p.URL, authFor(p.Scheme), true, "--quick", "--timeout", "2s", "--proxy-password-file", password, "--try-all",
				"--allow-basic-over-http", "--junit", b.path("junit.xml"), "--bundle", b.path("bundle.tgz")))
			outputs := unpack(t, b.path("bundle.tgz"))
			if names := slices.Sorted(maps.Keys(outputs)); !slices.Equal(names, []string{
				"turngate-check/check.txt", "turngate-check/environment.json", "turngate-check/junit.xml", "turngate-check/report.json"}) {
				t.Errorf("the bundle holds %q", names)
			}
			outputs["text"], outputs["document"], outputs["JUnit"] = got.text, got.document, b.read(t, b.path("junit.xml"))
			secrets := b.secrets()
			secrets["the wrong password"] = "wr0ng-Password"
			for name, text := range outputs {
				for what, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("%s, %s: it shows %s:\n%s", p.URL, name, what, text)
					}
				}
				if text == "" {
					t.Errorf("%s is empty", name)
				}
			}
			if !strings.Contains(outputs["turngate-check/environment.json"], `"HTTPS_PROXY": "http://(user)@proxy.corp:8080"`) {
				t.Errorf("no proxy variable without its user in\n%s", outputs["turngate-check/environment.json"])
			}
		}
	}
}

// The stages are test cases, and a failed one says why.
func TestCheckJUnit(t *testing.T) {
	b := newCheckBench(t)
	p, err := b.lab.Faulty("403.after-auth", lab.SchemeBasic)
	if err != nil {
		t.Fatal(err)
	}
	b.check(t, b.args(p.URL, "basic", false, "--quick", "--junit", b.path("junit.xml")))
	var document struct {
		Suite junit.Suite `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(b.read(t, b.path("junit.xml"))), &document); err != nil {
		t.Fatal(err)
	}
	suite := document.Suite
	if suite.Tests != 11 || suite.Failures != 1 || suite.Skipped != 5 || len(suite.Cases) != 11 {
		t.Fatalf("got %+v, want eleven stages, one failed, five not needed or not reached", suite)
	}
	if c := suite.Cases[6]; c.Name != diagnosis.StageTunnel || c.Failure == nil || c.Failure.Type != "proxy.refused-after-auth" || !strings.Contains(c.Failure.Text, "hint: ") {
		t.Errorf("got %+v, want the tunnel with its finding", c)
	}
}

// Each mechanism is tried by itself, also after one got in; a wrong password costs one attempt each.
func TestCheckTryAll(t *testing.T) {
	b := newCheckBench(t)
	wrong := b.write(t, "wrong", "wr0ng-Password-1")
	for _, p := range b.lab.Proxies {
		if p.Scheme != lab.SchemeAll || p.TLS {
			continue
		}
		got := b.check(t, b.args(p.URL, "auto", false, "--quick", "--try-all", "--allow-basic-over-http"))
		for _, a := range got.Attempts {
			// The acceptor of Negotiate takes Kerberos alone, as Squid's helper does.
			if want := a.Mechanism != "NTLM in Negotiate"; (a.Outcome == diagnosis.Accepted) != want || a.Requests == 0 {
				t.Errorf("%+v, want it accepted: %v", a, want)
			}
		}
		if len(got.Attempts) != 5 || got.status != exitOK || len(got.Findings) > 0 {
			t.Errorf("exit status %d, %d mechanisms, findings %v\n%s", got.status, len(got.Attempts), got.Findings, got.text)
		}
		before, err := p.Failures()
		if err != nil {
			t.Fatal(err)
		}
		got = b.check(t, b.args(p.URL, "auto", false, "--quick", "--try-all", "--allow-basic-over-http", "--proxy-password-file", wrong))
		after, err := p.Failures()
		if err != nil || after-before != 5 || got.status != exitFail || got.first() != "kerberos.preauth-failed" {
			t.Errorf("%d attempts failed, %v, first finding %q; want 5, kerberos.preauth-failed\n%s", after-before, err, got.first(), got.text)
		}
		return
	}
	t.Fatal("no proxy")
}

// TLS that is opened on the way is told although this machine trusts who opens it.
func TestCheckTrustedInterception(t *testing.T) {
	b := newCheckBench(t)
	p := &testproxy.Proxy{Faults: []testproxy.Fault{testproxy.MustFault("tls.intercept")}, Host: "localhost"}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	sound := &testproxy.Proxy{Host: "localhost"}
	if err := sound.Start(); err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	authority, err := p.InspectionCA()
	if err != nil {
		t.Fatal(err)
	}
	both := b.write(t, "both.pem", string(b.lab.CA)+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})))
	key := b.check(t, b.args(sound.URL(), "none", true, "--quick")).TunnelTLS.Key
	other := "sha256:" + strings.Repeat("01", 32)
	for _, c := range []struct {
		name, url, pin string
		status         int
		want           string
	}{
		{"opened", p.URL(), "", exitOK, "tls.intercepted"},
		{"opened, pinned", p.URL(), key, exitFail, "tls.intercepted"},
		{"sound, pinned", sound.URL(), key, exitOK, ""},
		{"sound, another pin", sound.URL(), other, exitFail, "tls.pin"},
	} {
		more := []string{"--turn-ca", both, "--quick"}
		if c.pin != "" {
			more = append(more, "--turn-fingerprint", c.pin)
		}
		if got := b.check(t, b.args(c.url, "none", true, more...)); got.status != c.status || got.first() != c.want {
			t.Errorf("%s: exit status %d, finding %q; want %d, %q\n%s", c.name, got.status, got.first(), c.status, c.want, got.text)
		}
	}
}
