package matrix

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/turngate/turngate/proxyconnect"
)

// keysOf returns the YAML keys of the struct that v points to.
func keysOf(v any) (keys []string) {
	t := reflect.TypeOf(v).Elem()
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			keys = append(keys, strings.Split(key, ",")[0])
		}
	}
	return keys
}

// checkCell finds before the run what is wrong with a cell.
func checkCell(c *Cell) error {
	d := &proxyconnect.Dialer{Proxy: c.Proxy}
	if err := d.Validate(); err != nil {
		return err
	}
	return c.Auth.Apply(d)
}

// trust returns a TLS configuration that trusts the certificates in a PEM file; nil, the system's
// roots, for no file.
func trust(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
