package realstack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// optionalParts are started only where Config.Only names them. The package squid-openssl, which alone can
// open TLS, cannot be installed beside squid: scripts/peers.sh unpacks two programs of it.
var optionalParts = []part{
	{"inspection", []string{"squid-openssl", "security_file_certgen", "htpasswd"}, nil, (*Stack).startBump},
}

// startBump starts a Squid that asks nobody who he is and opens TLS (ssl_bump), with certificates of an
// authority of its own.
func (s *Stack) startBump(ctx context.Context) error {
	authority, err := inspectionAuthority()
	if err != nil {
		return err
	}
	if err := s.writeWebUsers(ctx); err != nil {
		return err
	}
	if err := s.write("inspection.pem", authority); err != nil {
		return err
	}
	if _, err := s.run(ctx, "", nil, "security_file_certgen", "-c", "-s", s.path("certificates"), "-M", "4MB"); err != nil {
		return err
	}
	ports, err := s.serve(ctx, "inspection", 1, func(ports []int) (listener, error) {
		args := []string{"-N", "-n", s.shmPrefix() + "inspection", "-f", s.path("inspection.conf")}
		return listener{
			program: "squid-openssl", args: args, log: "inspection.cache", ready: []string{"Accepting SSL bumped HTTP Socket connections at "},
		}, s.configure("inspection.conf", "inspection.conf", map[string]any{"Port": ports[0], "Generator": find("security_file_certgen")})
	})
	if err != nil {
		return err
	}
	s.addProxies("inspection", "squid", "none", "inspection.access", ports)
	return nil
}

// InspectionCA is the path of the certificate and key of the authority that the part "inspection" signs
// with.
func (s *Stack) InspectionCA() string { return s.path("inspection.pem") }

// inspectionAuthority makes an authority: certificate and key in one PEM.
func inspectionAuthority() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "turngate lab TLS inspection"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	return append(both, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}
