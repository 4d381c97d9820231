package proxyconnect

import (
	"crypto"
	_ "crypto/sha256" // the hashes that TLSServerEndPoint uses
	_ "crypto/sha512"
	"crypto/x509"
)

// TLSServerEndPoint returns the application data of the channel binding to an https proxy, the
// prefix "tls-server-end-point:" and the hash of its certificate (RFC 5929 section 4), or nil for an
// http proxy. Mechanisms that bind to the channel (NTLM, Kerberos) hash it into their messages.
func (r Request) TLSServerEndPoint() []byte {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	cert := r.TLS.PeerCertificates[0]
	h := endPointHash(cert.SignatureAlgorithm).New()
	h.Write(cert.Raw)
	return h.Sum([]byte("tls-server-end-point:"))
}

// endPointHash is the hash of the certificate's signature, with MD5 and SHA-1 raised to SHA-256
// (RFC 5929 section 4.1). RFC 5929 leaves algorithms without a hash (Ed25519) undefined; SHA-256
// is what implementations use.
func endPointHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		return crypto.SHA512
	}
	return crypto.SHA256
}
