package testproxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// An inspector is the certification authority of a proxy that opens TLS.
type inspector struct {
	key  *ecdsa.PrivateKey // of the authority and of all its certificates
	cert *x509.Certificate
}

// InspectionCA is the authority whose certificates clients see under the faults tls.intercept and
// tls.intercept-http. It is new for each Proxy, and there only after Listen.
func (p *Proxy) InspectionCA() (*x509.Certificate, error) {
	authority, err := p.inspector()
	if err != nil {
		return nil, err
	}
	return authority.cert, nil
}

func newInspector() (*inspector, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate(pkix.Name{Organization: []string{"Example Corp"}, CommonName: "Example Corp TLS Inspection CA"})
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &inspector{key, cert}, err
}

func certificate(name pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{SerialNumber: serial, Subject: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
}

// certify makes a certificate for a host as if it were the host's own.
func (i *inspector) certify(host string) (*tls.Certificate, error) {
	template := certificate(pkix.Name{CommonName: host})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, i.key.Public(), i.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, i.cert.Raw}, PrivateKey: i.key}, nil
}

// intercept puts the proxy into the middle of the client's TLS; what is not TLS passes unopened.
// With httpOnly the tunnel ends where the inside is not HTTP.
func (t *tunnel) intercept(httpOnly bool) {
	deadline := time.Now().Add(t.c.legTimeout())
	t.client.SetDeadline(deadline)
	t.target.SetDeadline(deadline)
	opened, err := t.openTLS()
	t.client.SetDeadline(time.Time{})
	t.target.SetDeadline(time.Time{})
	if err != nil {
		t.cut("tls interception: " + err.Error())
		return
	}
	if httpOnly && opened {
		t.up.src = &firstBytes{Reader: t.up.src, pass: isHTTPRequest, fail: func() { t.cut("fault: what came inside TLS is not HTTP") }}
	}
}

// openTLS makes the two halves of an intercepted tunnel, if the client begins with TLS.
func (t *tunnel) openTLS() (opened bool, err error) {
	br := bufio.NewReader(t.up.src)
	t.up.src = br
	first, err := br.Peek(1)
	if err != nil || !isTLSHandshake(first) {
		return false, err
	}
	authority, err := t.c.p.inspector()
	if err != nil {
		return false, err
	}
	client := tls.Server(&readFirst{t.client, br}, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != "" {
			return authority.certify(hello.ServerName)
		}
		return authority.certify(t.host)
	}})
	if err := client.HandshakeContext(t.c.p.ctx); err != nil {
		return false, fmt.Errorf("with the client: %w", err)
	}
	name := client.ConnectionState().ServerName
	if name == "" {
		name = t.host
	}
	// The proxy of a lab need not know who signs the targets of the lab.
	target := tls.Client(t.target, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := target.HandshakeContext(t.c.p.ctx); err != nil {
		return false, fmt.Errorf("with the target: %w", err)
	}
	t.client, t.target = client, target
	t.up.src, t.up.dst, t.down.src, t.down.dst = client, target, target, client
	return true, nil
}

// readFirst is a connection of which something was read already.
type readFirst struct {
	net.Conn
	r io.Reader
}

func (c *readFirst) Read(p []byte) (int, error) { return c.r.Read(p) }

// isHTTPRequest looks for a method at the beginning.
func isHTTPRequest(b []byte) bool { return b[0] >= 'A' && b[0] <= 'Z' }
