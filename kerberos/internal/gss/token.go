package gss

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Token identifiers of Kerberos' context tokens (RFC 4121 section 4.1).
const (
	APReq    uint16 = 0x0100
	APRep    uint16 = 0x0200
	KRBError uint16 = 0x0300
)

// Wrap frames a Kerberos message as a GSS-API context token.
func Wrap(id uint16, message []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(der.Tag(0x60), func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(Kerberos)
		b.AddUint16(id)
		b.AddBytes(message)
	})
	return b.Bytes()
}

// Unwrap returns the identifier and the message of a Kerberos context token.
func Unwrap(token []byte) (id uint16, message []byte, err error) {
	var frame cryptobyte.String
	var oid asn1.ObjectIdentifier
	in := cryptobyte.String(token)
	if !in.ReadASN1(&frame, der.Tag(0x60)) || !frame.ReadASN1ObjectIdentifier(&oid) {
		return 0, nil, errors.New("malformed GSS-API token")
	}
	if !IsKerberos(oid) {
		return 0, nil, fmt.Errorf("a token of %s, not of Kerberos", MechName(oid))
	}
	if !frame.ReadUint16(&id) {
		return 0, nil, errors.New("GSS-API token without a message")
	}
	return id, frame, nil
}

// Mech returns the mechanism in the frame of an initial token (RFC 2743 section 3.1), nil when there
// is no such frame.
func Mech(token []byte) asn1.ObjectIdentifier {
	var frame cryptobyte.String
	var oid asn1.ObjectIdentifier
	in := cryptobyte.String(token)
	if !in.ReadASN1(&frame, der.Tag(0x60)) || !frame.ReadASN1ObjectIdentifier(&oid) {
		return nil
	}
	return oid
}

// IsNTLM tells whether a token is a bare NTLM message, which travels under Negotiate too.
func IsNTLM(token []byte) bool { return bytes.HasPrefix(token, []byte("NTLMSSP\x00")) }
