package ntlm

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/turngate/turngate/ntlm/internal/nlmp"
	"github.com/turngate/turngate/ntlm/internal/spnego"
)

// offer is the list of mechanisms that we negotiate: there is nothing to choose from.
var offer = []asn1.ObjectIdentifier{spnego.NTLMSSP}

// wrapNegotiate puts a type 1 into a NegTokenInit.
func wrapNegotiate(msg []byte) ([]byte, error) {
	return spnego.Init{MechTypes: offer, MechToken: msg}.Marshal()
}

// unwrapChallenge finds the NTLM message in a token, which is one or is a NegTokenResp with one.
func unwrapChallenge(token []byte) (msg []byte, wrapped bool, err error) {
	if !spnego.IsResp(token) {
		return token, false, nil
	}
	if len(token) > nlmp.MaxMessage {
		return nil, false, fmt.Errorf("SPNEGO token of %d bytes, limit %d", len(token), nlmp.MaxMessage)
	}
	resp, err := spnego.ParseResp(token)
	switch {
	case err != nil:
		return nil, false, err
	case resp.State == spnego.Reject:
		return nil, false, errors.New("its SPNEGO acceptor rejects NTLM")
	case len(resp.SupportedMech) > 0 && !resp.SupportedMech.Equal(spnego.NTLMSSP):
		return nil, false, fmt.Errorf("its SPNEGO acceptor chose mechanism %v instead of NTLM", resp.SupportedMech)
	case len(resp.ResponseToken) == 0:
		return nil, false, errors.New("its SPNEGO token has no NTLM message in it")
	}
	return resp.ResponseToken, true, nil
}

// wrapAuthenticate puts a type 3 into a NegTokenResp. When we sent a list of mechanisms, it is
// signed: Samba and MIT's SPNEGO over gss-ntlmssp ask for that and check it (RFC 4178 section 5).
func wrapAuthenticate(msg, sessionKey []byte, listSent bool) ([]byte, error) {
	resp := spnego.Resp{State: spnego.Absent, ResponseToken: msg}
	if listSent {
		list, err := spnego.MechList(offer)
		if err != nil {
			return nil, err
		}
		sum := nlmp.Checksum(nlmp.ClientSignKey(sessionKey), 0, list)
		resp.MechListMIC = nlmp.AppendSignature(nil, sum, 0)
	}
	return resp.Marshal()
}
