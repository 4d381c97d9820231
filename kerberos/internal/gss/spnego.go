package gss

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Mechanisms of SPNEGO.
var (
	SPNEGO       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
	Kerberos     = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	MSKerberos   = asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2} // Kerberos under a number that Windows 2000 truncated
	NTLM         = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
	NegoEx       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 30}
	IAKerb       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 2, 5}
	mechanismDoc = map[string]string{
		SPNEGO.String(): "SPNEGO", Kerberos.String(): "Kerberos", MSKerberos.String(): "Kerberos (Microsoft)",
		NTLM.String(): "NTLM", NegoEx.String(): "NegoEx", IAKerb.String(): "IAKERB",
	}
)

// MechName is the name of a mechanism, or its number.
func MechName(oid asn1.ObjectIdentifier) string {
	if name, ok := mechanismDoc[oid.String()]; ok {
		return name
	}
	return oid.String()
}

// IsKerberos tells whether a mechanism is Kerberos under either number.
func IsKerberos(oid asn1.ObjectIdentifier) bool { return oid.Equal(Kerberos) || oid.Equal(MSKerberos) }

// States of a negotiation (RFC 4178 section 4.2.2). A reply may carry none.
const (
	NoState          = -1
	AcceptCompleted  = 0
	AcceptIncomplete = 1
	Reject           = 2
	RequestMIC       = 3
)

// maxMechs bounds the list that a peer may offer.
const maxMechs = 64

// An Init is a NegTokenInit: mechanisms in order of preference and the first one's token.
type Init struct {
	Mechs []asn1.ObjectIdentifier
	Token []byte
}

// A Resp is a NegTokenResp.
type Resp struct {
	State int
	Mech  asn1.ObjectIdentifier // nil when absent
	Token []byte
	MIC   []byte
}

var errDER = errors.New("malformed SPNEGO token")

func context(n uint8) der.Tag { return der.Tag(n).ContextSpecific().Constructed() }

// Marshal encodes the token inside its GSS-API frame.
func (t Init) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(der.Tag(0x60), func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(SPNEGO)
		b.AddASN1(context(0), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(context(0), func(b *cryptobyte.Builder) {
					b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
						for _, oid := range t.Mechs {
							b.AddASN1ObjectIdentifier(oid)
						}
					})
				})
				addOctets(b, 2, t.Token)
			})
		})
	})
	return b.Bytes()
}

// Marshal encodes the token.
func (t Resp) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(context(1), func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			if t.State != NoState {
				b.AddASN1(context(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(t.State)) })
			}
			if t.Mech != nil {
				b.AddASN1(context(1), func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(t.Mech) })
			}
			addOctets(b, 2, t.Token)
			addOctets(b, 3, t.MIC)
		})
	})
	return b.Bytes()
}

func addOctets(b *cryptobyte.Builder, n uint8, octets []byte) {
	if octets != nil {
		b.AddASN1(context(n), func(b *cryptobyte.Builder) { b.AddASN1OctetString(octets) })
	}
}

// ParseInit reads a NegTokenInit. The list of mechanisms may be empty: the caller decides.
func ParseInit(token []byte) (t Init, err error) {
	var frame, choice, seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	in := cryptobyte.String(token)
	if !in.ReadASN1(&frame, der.Tag(0x60)) || !frame.ReadASN1ObjectIdentifier(&oid) {
		return t, errDER
	}
	if !oid.Equal(SPNEGO) {
		return t, fmt.Errorf("a token of %s, not of SPNEGO", MechName(oid))
	}
	if !frame.ReadASN1(&choice, context(0)) || !choice.ReadASN1(&seq, der.SEQUENCE) {
		return t, errDER
	}
	var list cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&list, &present, context(0)) {
		return t, errDER
	}
	if present {
		if t.Mechs, err = parseMechs(list); err != nil {
			return t, err
		}
	}
	if !seq.SkipOptionalASN1(context(1)) || !readOctets(&seq, 2, &t.Token) {
		return t, errDER
	}
	return t, nil
}

func parseMechs(list cryptobyte.String) (mechs []asn1.ObjectIdentifier, err error) {
	var seq cryptobyte.String
	if !list.ReadASN1(&seq, der.SEQUENCE) {
		return nil, errDER
	}
	for !seq.Empty() {
		var oid asn1.ObjectIdentifier
		if !seq.ReadASN1ObjectIdentifier(&oid) {
			return nil, errDER
		}
		if mechs = append(mechs, oid); len(mechs) > maxMechs {
			return nil, fmt.Errorf("more than %d mechanisms offered", maxMechs)
		}
	}
	return mechs, nil
}

// ParseResp reads a NegTokenResp.
func ParseResp(token []byte) (Resp, error) {
	t := Resp{State: NoState}
	var choice, seq, field cryptobyte.String
	var present bool
	in := cryptobyte.String(token)
	if !in.ReadASN1(&choice, context(1)) || !choice.ReadASN1(&seq, der.SEQUENCE) {
		return t, errDER
	}
	if !seq.ReadOptionalASN1(&field, &present, context(0)) || present && !field.ReadASN1Enum(&t.State) {
		return t, errDER
	}
	if !seq.ReadOptionalASN1(&field, &present, context(1)) || present && !field.ReadASN1ObjectIdentifier(&t.Mech) {
		return t, errDER
	}
	if !readOctets(&seq, 2, &t.Token) || !readOctets(&seq, 3, &t.MIC) {
		return t, errDER
	}
	return t, nil
}

func readOctets(s *cryptobyte.String, n uint8, out *[]byte) bool {
	var field, octets cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&field, &present, context(n)) {
		return false
	}
	if !present {
		return true
	}
	if !field.ReadASN1(&octets, der.OCTET_STRING) {
		return false
	}
	*out = octets
	return true
}
