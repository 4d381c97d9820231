package testproxy

import (
	"encoding/asn1"
	"encoding/base64"
	"errors"
)

// negTokenResp is RFC 4178 section 4.2.2 without the mechListMIC.
type negTokenResp struct {
	NegState      asn1.Enumerated       `asn1:"explicit,optional,tag:0,default:-1"`
	SupportedMech asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	ResponseToken []byte                `asn1:"explicit,optional,tag:2"`
	MechListMIC   []byte                `asn1:"explicit,optional,tag:3"`
}

var ntlmSSP = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}

const acceptIncomplete = 1

// wrapSPNEGO puts a mechanism's token into a NegTokenResp.
func wrapSPNEGO(token []byte) ([]byte, error) {
	return asn1.MarshalWithParams(negTokenResp{acceptIncomplete, ntlmSSP, token, nil}, "explicit,tag:1")
}

// unwrapSPNEGO takes it out again.
func unwrapSPNEGO(der []byte) ([]byte, error) {
	var resp negTokenResp
	rest, err := asn1.UnmarshalWithParams(der, &resp, "explicit,tag:1")
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || len(resp.ResponseToken) == 0 {
		return nil, errors.New("no NegTokenResp with a token")
	}
	return resp.ResponseToken, nil
}

// wrapChallenge is the challenge's side of the fault ntlm.spnego.
func wrapChallenge(_ *exchange, v *verdict) {
	if v.challenge == "" || !isNTLM(v.scheme) {
		return
	}
	token, err := base64.StdEncoding.DecodeString(v.challenge)
	if err == nil {
		token, err = wrapSPNEGO(token)
	}
	if err != nil {
		*v = verdict{scheme: v.scheme, err: errors.New("fault ntlm.spnego: the challenge is no base64")}
		return
	}
	v.challenge = base64.StdEncoding.EncodeToString(token)
}

// unwrapCredentials lets the client answer the wrapped challenge in either form.
func unwrapCredentials(x *exchange) *response {
	field := x.req.header.Get("Proxy-Authorization")
	name, credentials := cutCredentials(field)
	der, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil || !isNTLM(name) {
		return nil
	}
	if token, err := unwrapSPNEGO(der); err == nil {
		x.req.header.Set("Proxy-Authorization", name+" "+base64.StdEncoding.EncodeToString(token))
	}
	return nil
}
