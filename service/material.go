package service

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// material is what the files hold: users, secrets and the certificate. It is immutable; a reload
// puts another in its place.
type material struct {
	users, keys turntcp.Credentials // nil for none
	rest        turntcp.Credentials // nil for none
	certificate *tls.Certificate    // nil for none
	counts      []any               // for the log: users=3 secrets=2
	warnings    []string
}

// readMaterial reads all files that the configuration names. With problems the material is not whole.
func readMaterial(c *Config) (*material, []materialProblem) {
	m := new(material)
	var problems []materialProblem
	fail := func(setting string, errs ...error) {
		for _, err := range errs {
			problems = append(problems, materialProblem{setting, err})
		}
	}
	fail("users", m.readUsers(c.Users)...)
	fail("auth-secret-file", m.readSecrets(c.AuthSecretFile)...)
	if c.Cert != "" && c.Key != "" {
		if setting, err := m.readCertificate(c.Cert, c.Key); err != nil {
			fail(setting, err)
		}
	}
	return m, problems
}

func (m *material) readUsers(path string) []error {
	if path == "" {
		return nil
	}
	text, err := readBounded(path, maxFile)
	if err != nil {
		return []error{err}
	}
	users, problems := parseUsers(path, text)
	passwords, keys := splitUsers(users)
	m.users, m.keys = turntcp.StaticCredentials(passwords), turntcp.StaticKeys(keys)
	m.counts = append(m.counts, "users", len(users))
	m.warnReadable(path)
	return problems
}

func (m *material) readSecrets(path string) []error {
	if path == "" {
		return nil
	}
	text, err := readBounded(path, maxFile)
	if err != nil {
		return []error{err}
	}
	secrets, problems := parseSecrets(path, text)
	m.rest = turntcp.RESTCredentials(secrets...)
	m.counts = append(m.counts, "secrets", len(secrets))
	m.warnReadable(path)
	return problems
}

// readCertificate names the setting whose file is to blame.
func (m *material) readCertificate(certPath, keyPath string) (setting string, err error) {
	certPEM, err := readBounded(certPath, maxFile)
	if err != nil {
		return "cert", err
	}
	keyPEM, err := readBounded(keyPath, maxFile)
	if err != nil {
		return "key", err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return "cert", fmt.Errorf("certificate %s with key %s: %w", certPath, keyPath, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return "cert", fmt.Errorf("%s: %w", certPath, err)
		}
	}
	m.certificate = &pair
	m.counts = append(m.counts, "certificate until", pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		m.warnings = append(m.warnings, fmt.Sprintf("%s is valid from %s to %s, which is not now", certPath,
			pair.Leaf.NotBefore.UTC().Format(time.RFC3339), pair.Leaf.NotAfter.UTC().Format(time.RFC3339)))
	}
	m.warnReadable(keyPath)
	return "", nil
}

// warnReadable warns of a secret that everybody on the machine can read.
func (m *material) warnReadable(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o004 != 0 {
		m.warnings = append(m.warnings, fmt.Sprintf("%s can be read by everybody (mode %#o)", path, info.Mode().Perm()))
	}
}

// live is the material in use. It implements turntcp.Credentials.
type live struct{ current atomic.Pointer[material] }

// Lookup asks the users file first, then the secrets.
func (l *live) Lookup(username string) (turntcp.Account, bool) {
	m := l.current.Load()
	for _, c := range []turntcp.Credentials{m.users, m.keys, m.rest} {
		if c == nil {
			continue
		}
		if account, ok := c.Lookup(username); ok {
			return account, true
		}
	}
	return turntcp.Account{}, false
}

var errNoCertificate = errors.New("no certificate")

// certificate is for tls.Config's GetCertificate: handshakes after a reload get the new one.
func (l *live) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := l.current.Load().certificate; c != nil {
		return c, nil
	}
	return nil, errNoCertificate
}
