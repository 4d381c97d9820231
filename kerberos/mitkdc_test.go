//go:build linux

package kerberos_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

// A mitKDC is a private krb5kdc of MIT, which may serve several realms.
type mitKDC struct {
	t    testing.TB
	dir  string
	addr string // of the first realm
	env  []string
}

// startMIT makes a realm per name and starts one krb5kdc for them. The options, lines of libdefaults
// or sections, are added to krb5.conf, which clients share with the KDC.
func startMIT(t testing.TB, options string, realms ...string) *mitKDC {
	t.Helper()
	peers.Need(t, "krb5kdc", "kdb5_util", "kadmin.local")
	k := &mitKDC{t: t, dir: t.TempDir()}
	k.env = append(os.Environ(), "KRB5_CONFIG="+k.path("krb5.conf"), "KRB5_KDC_PROFILE="+k.path("kdc.conf"),
		"KRB5CCNAME=FILE:"+k.path("cc"), "KRB5RCACHENAME=none:")
	var kdcRealms, realmKDCs strings.Builder
	for _, realm := range realms {
		addr := freeAddr(t)
		if k.addr == "" {
			k.addr = addr
		}
		fmt.Fprintf(&kdcRealms, " %[1]s = {\n  kdc_listen = %[2]s\n  kdc_tcp_listen = %[2]s\n  database_name = %[3]s/principal.%[1]s\n  key_stash_file = %[3]s/stash.%[1]s\n  acl_file = %[3]s/acl\n  default_principal_flags = +preauth\n  supported_enctypes = aes256-cts:normal aes128-cts:normal aes256-sha2:normal aes128-sha2:normal rc4-hmac:normal\n }\n", realm, addr, k.dir)
		fmt.Fprintf(&realmKDCs, " %s = {\n  kdc = %s\n }\n", realm, addr)
	}
	k.write("kdc.conf", "[realms]\n"+kdcRealms.String()+"[logging]\n kdc = FILE:"+k.path("kdc.log")+"\n default = FILE:"+k.path("krb5.log")+"\n")
	k.write("krb5.conf", fmt.Sprintf("[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n%s[realms]\n%s[domain_realm]\n localhost = %s\n",
		realms[0], options, realmKDCs.String(), realms[len(realms)-1]))
	for _, realm := range realms {
		k.run("kdb5_util", "-r", realm, "create", "-s", "-P", "masterpw")
	}
	k.start(realms)
	return k
}

func (k *mitKDC) start(realms []string) {
	k.t.Helper()
	args := []string{"-n", "-P", k.path("kdc.pid")}
	for _, realm := range realms {
		args = append(args, "-r", realm)
	}
	cmd := exec.Command(peers.Find("krb5kdc"), args...)
	cmd.Env = k.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(k.t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	k.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-exited
		}
	})
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", k.addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-exited:
			exited <- err
			k.t.Fatalf("krb5kdc exited: %v\n%s%s", err, out.String(), k.read("kdc.log"))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("krb5kdc does not listen: %v\n%s", err, k.read("kdc.log"))
		}
	}
}

// freeAddr is an address that was free a moment ago, for both transports.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			u.Close()
			return addr
		}
	}
	t.Fatal("no port is free for TCP and UDP")
	return ""
}

func (k *mitKDC) path(name string) string { return filepath.Join(k.dir, name) }

func (k *mitKDC) write(name, content string) {
	k.t.Helper()
	must(k.t, os.WriteFile(k.path(name), []byte(content), 0o600))
}

func (k *mitKDC) read(name string) string {
	b, _ := os.ReadFile(k.path(name))
	return string(b)
}

// config is the krb5.conf with a line added to libdefaults.
func (k *mitKDC) config(line string) string {
	return strings.Replace(k.read("krb5.conf"), "[libdefaults]\n", "[libdefaults]\n "+line+"\n", 1)
}

// run runs a program and fails the test when it fails.
func (k *mitKDC) run(name string, args ...string) string {
	k.t.Helper()
	out, err := k.try("", name, args...)
	if err != nil {
		k.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (k *mitKDC) try(stdin, name string, args ...string) (string, error) {
	k.t.Helper()
	peers.Need(k.t, name)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, peers.Find(name), args...)
	cmd.Env = k.env
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// admin runs a command of kadmin.local in a realm.
func (k *mitKDC) admin(realm, command string) {
	k.t.Helper()
	k.run("kadmin.local", "-r", realm, "-q", command)
}

// populate makes alice and HTTP/localhost, and a keytab of each.
func (k *mitKDC) populate(realm string) {
	k.t.Helper()
	k.admin(realm, "addprinc -pw "+password+" alice")
	k.admin(realm, "addprinc -randkey HTTP/localhost")
	k.admin(realm, "ktadd -k "+k.path("http.keytab")+" HTTP/localhost")
	k.admin(realm, "ktadd -norandkey -k "+k.path("alice.keytab")+" alice")
}

// lines counts the lines of kdc.log that have all the words.
func (k *mitKDC) lines(words ...string) (n int) {
	for line := range strings.Lines(k.read("kdc.log")) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}
