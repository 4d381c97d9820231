package diagnosis

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A Pin is the SHA-256 of a certificate's public key with its algorithm (SubjectPublicKeyInfo, RFC 7469
// section 2.4): it outlives a renewal of the certificate with the same key. The zero Pin is none.
type Pin [sha256.Size]byte

// ParsePin reads sha256:HEX, with or without colons between the bytes, or sha256/BASE64.
func ParsePin(text string) (p Pin, err error) {
	var b []byte
	if rest, ok := strings.CutPrefix(text, "sha256/"); ok {
		b, err = base64.StdEncoding.DecodeString(rest)
	} else {
		b, err = hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(text, "sha256:"), ":", ""))
	}
	if err != nil || len(b) != len(p) || Pin(b) == (Pin{}) {
		return p, fmt.Errorf("%q: want sha256: and 64 hexadecimal digits, or sha256/ and base64", text)
	}
	return Pin(b), nil
}

// String is what ParsePin takes, "" for no pin.
func (p Pin) String() string {
	if p == (Pin{}) {
		return ""
	}
	return "sha256:" + hex.EncodeToString(p[:])
}

// errPin says that the certificate was good and its key another than the pinned one.
var errPin = errors.New("the server shows another key than the pinned one")

// checkPin compares the key of a finished handshake with the pin.
func (t TURN) checkPin(state tls.ConnectionState) error {
	if t.Pin == (Pin{}) || len(state.PeerCertificates) == 0 {
		return nil
	}
	if got := pinOf(state.PeerCertificates[0]); got != t.Pin {
		return fmt.Errorf("%w: %s", errPin, got)
	}
	return nil
}

func pinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// describeTLS is what there is to say of a handshake, also of one that failed at the certificate.
// serverName is what we asked for (SNI), which an address is not sent as.
func describeTLS(state tls.ConnectionState, serverName string, err error) *TLS {
	t := &TLS{ServerName: serverName, ALPN: clip(state.NegotiatedProtocol)}
	if state.Version != 0 {
		t.Version = tls.VersionName(state.Version)
	}
	chain := state.PeerCertificates
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) {
		chain = verify.UnverifiedCertificates
	}
	if len(chain) > 0 {
		t.describe(chain[0])
	}
	for _, c := range chain[min(len(chain), 1):min(len(chain), maxChain)] {
		t.Chain = append(t.Chain, clip(c.Subject.String()))
	}
	return t
}

const (
	maxNames = 8
	maxChain = 5
)

func (t *TLS) describe(c *x509.Certificate) {
	sum := sha256.Sum256(c.Raw)
	t.SHA256, t.Key = hex.EncodeToString(sum[:]), pinOf(c).String()
	t.Subject, t.Issuer, t.NotAfter = clip(c.Subject.String()), clip(c.Issuer.String()), c.NotAfter
	for _, name := range c.DNSNames[:min(len(c.DNSNames), maxNames)] {
		t.Names = append(t.Names, clip(name))
	}
	for _, ip := range c.IPAddresses[:min(len(c.IPAddresses), maxNames-len(t.Names))] {
		t.Names = append(t.Names, ip.String())
	}
}

func (t *TLS) summary() string {
	if t.SHA256 == "" {
		return t.Version
	}
	return strings.TrimPrefix(fmt.Sprintf("%s, %q issued by %q", t.Version, t.Subject, t.Issuer), ", ")
}
