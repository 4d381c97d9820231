package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// pki is a certificate authority of the lab's own and the one certificate that all its servers show.
type pki struct {
	roots         *x509.CertPool
	caPEM         []byte
	certPEM, key  []byte
	serverKeyPair tls.Certificate
}

// host is the name of everything in the lab; it needs no entry in any hosts file, and Kerberos takes
// it for a service principal, as it does not take an address.
const host = "localhost"

func newPKI() (*pki, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := template("turngate lab CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	server := template(host)
	server.DNSNames = []string{host}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	server.KeyUsage = x509.KeyUsageDigitalSignature
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, server, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return bundle(caDER, der, keyDER)
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // crypto/rand does not fail
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(7 * 24 * time.Hour),
	}
}

func bundle(caDER, der, keyDER []byte) (*pki, error) {
	p := &pki{
		roots:   x509.NewCertPool(),
		caPEM:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	p.roots.AppendCertsFromPEM(p.caPEM)
	var err error
	p.serverKeyPair, err = tls.X509KeyPair(p.certPEM, p.key)
	return p, err
}

// server is the configuration of the lab's TLS servers.
func (p *pki) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.serverKeyPair}, MinVersion: tls.VersionTLS12}
}

// client is the configuration of a client that trusts the lab and nobody else.
func (p *pki) client() *tls.Config {
	return &tls.Config{RootCAs: p.roots, ServerName: host, MinVersion: tls.VersionTLS12}
}
