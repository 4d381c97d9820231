package ntlmtest

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"strings"

	"github.com/turngate/turngate/ntlm/internal/nlmp"
)

// granted are the flags that a client gets when it offers them.
const granted = nlmp.Unicode | nlmp.RequestTarget | nlmp.Sign | nlmp.AlwaysSign | nlmp.ExtendedSessionSecurity |
	nlmp.Version | nlmp.Key128 | nlmp.Key56

// newChallenge answers a type 1 (MS-NLMP 3.2.5.1.1). It takes the short ones that end with the flags or
// with the empty names (curl, Chromium), too.
func (h *Handshake) newChallenge(negotiate []byte) ([]byte, error) {
	if len(negotiate) < 16 {
		return nil, fmt.Errorf("negotiate message (type 1) of %d bytes, at least 16 are needed", len(negotiate))
	}
	if _, err := rand.Read(h.nonce[:]); err != nil {
		return nil, err
	}
	h.negotiate = append([]byte(nil), negotiate...)
	h.challenge = h.acceptor.challengeMessage(nlmp.Flags(binary.LittleEndian.Uint32(negotiate[12:])), h.nonce)
	return h.challenge, nil
}

func (a *Acceptor) challengeMessage(offered nlmp.Flags, nonce [8]byte) []byte {
	const header = 56
	flags := a.flags(offered)
	target := []byte(a.domain())
	if flags&nlmp.Unicode != 0 {
		target = nlmp.UTF16(a.domain())
	}
	var info []byte
	if !a.OmitTargetInfo {
		info = nlmp.AppendAVPairs(nil, a.pairs())
	}
	targetAt := header
	if a.MalformedTargetName {
		targetAt = 0xAAAAAAAE
	}
	b := append([]byte(nlmp.Signature), nlmp.Challenge, 0, 0, 0)
	b = nlmp.AppendFieldHeader(b, len(target), targetAt)
	b = binary.LittleEndian.AppendUint32(b, uint32(flags))
	b = append(b, nonce[:]...)
	b = append(b, make([]byte, 8)...)
	b = nlmp.AppendFieldHeader(b, len(info), header+len(target))
	b = append(b, 10, 0, 0x63, 0x45, 0, 0, 0, 15) // Windows 10.0 build 17763, NTLM revision 15
	b = append(b, target...)
	return append(b, info...)
}

// flags negotiates. A client that offers no Unicode (curl) gets and sends its names as bytes.
func (a *Acceptor) flags(offered nlmp.Flags) nlmp.Flags {
	flags := offered&granted | nlmp.NTLM | nlmp.TargetTypeDomain
	if flags&nlmp.Unicode == 0 {
		flags |= nlmp.OEM
	}
	if !a.OmitTargetInfo {
		flags |= nlmp.TargetInfo
	}
	if a.KeyExchange {
		flags |= nlmp.KeyExchange
	}
	return flags
}

func (a *Acceptor) pairs() []nlmp.AVPair {
	host := a.Host
	if host == "" || net.ParseIP(host) != nil { // an address has neither a domain nor a NetBIOS name
		host = "proxy.turngate.test"
	}
	computer, dnsDomain, _ := strings.Cut(host, ".")
	pairs := []nlmp.AVPair{
		{ID: nlmp.AvNbDomainName, Value: nlmp.UTF16(a.domain())},
		{ID: nlmp.AvNbComputerName, Value: nlmp.UTF16(strings.ToUpper(computer))},
		{ID: nlmp.AvDNSDomainName, Value: nlmp.UTF16(dnsDomain)},
		{ID: nlmp.AvDNSComputerName, Value: nlmp.UTF16(host)},
	}
	if !a.OmitTimestamp {
		pairs = append(pairs, nlmp.AVPair{ID: nlmp.AvTimestamp, Value: nlmp.Filetime(a.now())})
	}
	return pairs
}
