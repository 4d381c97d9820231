package ntlmtest

import (
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/turngate/turngate/ntlm/internal/nlmp"
	"github.com/turngate/turngate/ntlm/internal/spnego"
)

// A Handshake is one connection's. It is used by one goroutine.
type Handshake struct {
	acceptor *Acceptor
	binding  []byte

	mechs     []asn1.ObjectIdentifier // the client's list; nil when it sent none
	negotiate []byte                  // the client's type 1
	challenge []byte                  // our type 2; nil when none is open
	nonce     [8]byte
}

// Accept takes what follows the scheme in Proxy-Authorization.
//
// A challenge that is not "" goes into a 407, after the scheme. A user that is not "" is accepted: the
// account's name, without domain. An error is a rejection, its text for the proxy's log: the client
// gets a 407 that offers the scheme afresh, and may begin again with a type 1.
func (h *Handshake) Accept(credentials string) (challenge, user string, err error) {
	token, err := decode(credentials)
	if err != nil {
		return "", "", err
	}
	reply, user, err := h.accept(token)
	if err != nil {
		h.mechs, h.negotiate, h.challenge = nil, nil, nil
		return "", "", err
	}
	return base64.StdEncoding.EncodeToString(reply), user, nil
}

func decode(credentials string) ([]byte, error) {
	credentials = strings.TrimSpace(credentials)
	if len(credentials) > base64.StdEncoding.EncodedLen(nlmp.MaxMessage) {
		return nil, fmt.Errorf("credentials of %d characters", len(credentials))
	}
	token, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return nil, errors.New("credentials are not base64")
	}
	return token, nil
}

// accept takes a token of any kind. Its reply and user are exclusive.
func (h *Handshake) accept(token []byte) (reply []byte, user string, err error) {
	wrapped := spnego.IsInit(token) || spnego.IsResp(token)
	switch {
	case wrapped && !h.acceptor.SPNEGO:
		return nil, "", errors.New("SPNEGO token where only bare NTLM is taken")
	case spnego.IsInit(token):
		return h.acceptInit(token)
	case spnego.IsResp(token):
		return h.acceptResp(token)
	}
	return h.acceptMessage(token, nil, h.acceptor.WrapChallenge)
}

// acceptInit takes the client's list and, when NTLM is its favourite, the type 1 beside it.
func (h *Handshake) acceptInit(token []byte) ([]byte, string, error) {
	first, err := spnego.ParseInit(token)
	if err != nil {
		return nil, "", err
	}
	at := slices.IndexFunc(first.MechTypes, spnego.NTLMSSP.Equal)
	if at < 0 {
		return nil, "", fmt.Errorf("client offers no NTLM but %v", first.MechTypes)
	}
	h.mechs = first.MechTypes
	if at == 0 && len(first.MechToken) > 0 {
		return h.acceptMessage(first.MechToken, nil, true)
	}
	reply, err := wrap(nil) // the token is of another mechanism: ask for ours
	return reply, "", err
}

func (h *Handshake) acceptResp(token []byte) ([]byte, string, error) {
	resp, err := spnego.ParseResp(token)
	if err != nil {
		return nil, "", err
	}
	return h.acceptMessage(resp.ResponseToken, resp.MechListMIC, true)
}

// acceptMessage takes a bare NTLM message.
func (h *Handshake) acceptMessage(msg, listMIC []byte, wrapped bool) ([]byte, string, error) {
	typ, err := nlmp.Type(msg)
	if err != nil {
		return nil, "", err
	}
	switch typ {
	case nlmp.Negotiate:
		reply, err := h.newChallenge(msg)
		if err == nil && wrapped {
			reply, err = wrap(reply)
		}
		return reply, "", err
	case nlmp.Authenticate:
		user, err := h.verify(msg, listMIC)
		return nil, user, err
	}
	return nil, "", fmt.Errorf("NTLM message of type %d from a client", typ)
}

// wrap makes the SPNEGO answer to the client's first tokens. Like Samba's it asks for the signature of
// the list.
func wrap(msg []byte) ([]byte, error) {
	return spnego.Resp{State: spnego.RequestMIC, SupportedMech: spnego.NTLMSSP, ResponseToken: msg}.Marshal()
}
