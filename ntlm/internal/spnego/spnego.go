// Package spnego frames the tokens of one mechanism, NTLM, as RFC 4178 says: NegTokenInit from the
// client, NegTokenResp from both sides after it. Which mechanism wins is not negotiated here.
package spnego

import (
	"encoding/asn1"
	"errors"
	"fmt"
)

// NTLMSSP is the mechanism's name (MS-SPNG).
var NTLMSSP = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}

var oidSPNEGO = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}

// States of a negotiation (RFC 4178 section 4.2.2); Absent stands for none.
const (
	AcceptCompleted  = 0
	AcceptIncomplete = 1
	Reject           = 2
	RequestMIC       = 3
	Absent           = -1
)

// An Init is the client's first token (RFC 4178 section 4.2.1).
type Init struct {
	MechTypes   []asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	ReqFlags    asn1.BitString          `asn1:"explicit,optional,tag:1"`
	MechToken   []byte                  `asn1:"explicit,optional,omitempty,tag:2"`
	MechListMIC []byte                  `asn1:"explicit,optional,omitempty,tag:3"`
}

// A Resp is every later token of either side (RFC 4178 section 4.2.2).
type Resp struct {
	State         asn1.Enumerated       `asn1:"explicit,optional,default:-1,tag:0"`
	SupportedMech asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	ResponseToken []byte                `asn1:"explicit,optional,omitempty,tag:2"`
	MechListMIC   []byte                `asn1:"explicit,optional,omitempty,tag:3"`
}

// framed is the GSS-API's outer frame of the first token (RFC 2743 section 3.1).
type framed struct {
	Mech  asn1.ObjectIdentifier
	Token asn1.RawValue
}

// IsInit tells whether b begins like a framed Init.
func IsInit(b []byte) bool { return len(b) > 0 && b[0] == 0x60 }

// IsResp tells whether b begins like a Resp.
func IsResp(b []byte) bool { return len(b) > 0 && b[0] == 0xa1 }

// Marshal encodes the token with its frame.
func (t Init) Marshal() ([]byte, error) {
	inner, err := asn1.MarshalWithParams(t, "explicit,tag:0")
	if err != nil {
		return nil, err
	}
	return asn1.MarshalWithParams(framed{oidSPNEGO, asn1.RawValue{FullBytes: inner}}, "application,tag:0")
}

// ParseInit decodes a framed Init.
func ParseInit(b []byte) (Init, error) {
	var f framed
	var t Init
	if err := unmarshal(b, &f, "application,tag:0"); err != nil {
		return t, fmt.Errorf("SPNEGO frame: %w", err)
	}
	if !f.Mech.Equal(oidSPNEGO) {
		return t, fmt.Errorf("GSS-API token of mechanism %v instead of SPNEGO", f.Mech)
	}
	if err := unmarshal(f.Token.FullBytes, &t, "explicit,tag:0"); err != nil {
		return t, fmt.Errorf("SPNEGO NegTokenInit: %w", err)
	}
	return t, nil
}

// Marshal encodes the token.
func (t Resp) Marshal() ([]byte, error) { return asn1.MarshalWithParams(t, "explicit,tag:1") }

// ParseResp decodes a Resp.
func ParseResp(b []byte) (Resp, error) {
	var t Resp
	if err := unmarshal(b, &t, "explicit,tag:1"); err != nil {
		return t, fmt.Errorf("SPNEGO NegTokenResp: %w", err)
	}
	return t, nil
}

// MechList is what the mechListMIC is computed over (RFC 4178 section 5).
func MechList(mechs []asn1.ObjectIdentifier) ([]byte, error) { return asn1.Marshal(mechs) }

func unmarshal(b []byte, into any, params string) error {
	rest, err := asn1.UnmarshalWithParams(b, into, params)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes after its end")
	}
	return err
}
