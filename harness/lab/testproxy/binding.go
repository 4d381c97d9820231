package testproxy

import (
	"crypto"
	_ "crypto/sha256" // the hashes of serverEndPoint
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// boundConfig is a clone of cfg for one connection that leaves the channel binding of the
// certificate which it shows in *binding.
func boundConfig(cfg *tls.Config, binding *[]byte) *tls.Config {
	bound := cfg.Clone()
	bound.MinVersion = max(bound.MinVersion, tls.VersionTLS12)
	bound.SessionTicketsDisabled = true // a resumed session shows no certificate
	bound.GetConfigForClient = nil
	bound.Certificates = nil // with GetCertificate alone, the choice is always ours to see
	bound.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := chooseCertificate(cfg, hello)
		if err == nil {
			*binding, err = serverEndPoint(cert)
		}
		return cert, err
	}
	return bound
}

// chooseCertificate does what crypto/tls does with the same configuration.
func chooseCertificate(cfg *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cfg.GetCertificate != nil && (len(cfg.Certificates) == 0 || hello.ServerName != "") {
		if cert, err := cfg.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range cfg.Certificates {
		if hello.SupportsCertificate(&cfg.Certificates[i]) == nil {
			return &cfg.Certificates[i], nil
		}
	}
	if len(cfg.Certificates) == 0 {
		return nil, errors.New("testproxy: the TLS configuration has no certificate")
	}
	return &cfg.Certificates[0], nil
}

// serverEndPoint is the channel binding of RFC 5929 section 4: the hash is that of the
// certificate's signature, with MD5 and SHA-1 raised to SHA-256.
func serverEndPoint(cert *tls.Certificate) ([]byte, error) {
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, err
	}
	algorithm := crypto.SHA256
	switch leaf.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		algorithm = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		algorithm = crypto.SHA512
	}
	h := algorithm.New()
	h.Write(leaf.Raw)
	return h.Sum([]byte("tls-server-end-point:")), nil
}
