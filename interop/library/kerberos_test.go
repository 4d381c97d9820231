package library

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/turngate/turngate/internal/peers"
	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/proxyconnect"
)

// kerberosMechanism answers a proxy's Negotiate with Kerberos tickets. Use one for all dials: they
// share tickets.
func kerberosMechanism(config kerberos.Config) (proxyconnect.Mechanism, error) {
	client, err := kerberos.New(config)
	if err != nil {
		return proxyconnect.Mechanism{}, err
	}
	return proxyconnect.Mechanism{
		Scheme: "Negotiate",
		Name:   "Kerberos",
		Begin: func(ctx context.Context, r proxyconnect.Request) (proxyconnect.Exchange, error) {
			return client.Begin(ctx, r.ProxyHost, r.TLSServerEndPoint())
		},
	}, nil
}

func Example_kerberosKeytab() {
	ctx, cancel := seconds(20)
	defer cancel()
	show(dialWithKerberos(ctx, kerberos.Config{Keytab: realm.keytab, Krb5Conf: realm.krb5Conf}))
	// Output: Kerberos after 2 requests
}

func dialWithKerberos(ctx context.Context, config kerberos.Config) (*proxyconnect.Conn, error) {
	m, err := kerberosMechanism(config)
	if err != nil {
		return nil, err
	}
	d := &proxyconnect.Dialer{Proxy: realm.proxy.URL(), Mechanisms: []proxyconnect.Mechanism{m}}
	conn, err := d.DialContext(ctx, "tcp", corp.TURN.TCP)
	if err != nil {
		return nil, err
	}
	return conn.(*proxyconnect.Conn), nil
}

// TestKerberosTickets is Example_kerberosKeytab for a credential cache, which only kinit writes.
func TestKerberosTickets(t *testing.T) {
	peers.Need(t, "kinit")
	ccache := filepath.Join(t.TempDir(), "tickets")
	kinit := exec.CommandContext(t.Context(), "kinit", "-k", "-t", realm.keytab, "-c", "FILE:"+ccache, "alice")
	kinit.Env = append(os.Environ(), "KRB5_CONFIG="+realm.krb5Conf)
	if out, err := kinit.CombinedOutput(); err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	conn, err := dialWithKerberos(t.Context(), kerberos.Config{CCache: ccache, Krb5Conf: realm.krb5Conf})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, want := conn.Info().Mechanism, "Kerberos"; got != want {
		t.Errorf("the proxy accepted %q, want %q", got, want)
	}
}
