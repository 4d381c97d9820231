package credentials

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Trust returns a TLS configuration for clients that trusts the certificates in a PEM file instead of
// the system's; nil for no file.
func Trust(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err // names the file
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
