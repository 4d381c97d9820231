package turntcp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

const (
	typeSendIndication = 0x0016
	typeDataIndication = 0x0017

	attrXORPeerAddress = 0x0012
	attrData           = 0x0013

	familyIPv4 = 1
	familyIPv6 = 2

	// maxSend keeps a Send indication well within the 65532 bytes of attributes that its length
	// field can tell.
	maxSend = 65000
)

// wellFormed tells whether the attributes of a STUN message fill it exactly (RFC 8489 section 14).
func (f Frame) wellFormed() bool {
	for rest := f[stunHeader:]; len(rest) > 0; {
		if len(rest) < 4 {
			return false
		}
		size := 4 + padded(int(binary.BigEndian.Uint16(rest[2:])))
		if size > len(rest) {
			return false
		}
		rest = rest[size:]
	}
	return true
}

// eachAttribute visits the attributes of a STUN message that is well-formed.
func (f Frame) eachAttribute(visit func(attribute uint16, value []byte)) {
	for rest := f[stunHeader:]; len(rest) > 0; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		visit(binary.BigEndian.Uint16(rest), rest[4:4+length])
		rest = rest[4+padded(length):]
	}
}

// signedBy is the USERNAME of a request that has a MESSAGE-INTEGRITY, whatever that is worth.
func (f Frame) signedBy() (username string, signed bool) {
	named := false
	f.eachAttribute(func(attribute uint16, value []byte) {
		switch stun.AttrType(attribute) {
		case stun.AttrUsername:
			if !named {
				username, named = string(value), true
			}
		case stun.AttrMessageIntegrity:
			signed = named
		}
	})
	return username, signed
}

// xorMask is what an address is XORed with (RFC 8489 section 14.2).
func xorMask(id []byte) (mask [16]byte) {
	binary.BigEndian.PutUint32(mask[:], magicCookie)
	copy(mask[4:], id)
	return mask
}

// appendXORAddress appends the value of an XOR address attribute.
func appendXORAddress(dst []byte, a netip.AddrPort, id []byte) []byte {
	mask := xorMask(id)
	ip := a.Addr().Unmap()
	port := a.Port() ^ magicCookie>>16
	if ip.Is4() {
		dst = append(dst, 0, familyIPv4, byte(port>>8), byte(port))
		for i, b := range ip.As4() {
			dst = append(dst, b^mask[i])
		}
		return dst
	}
	dst = append(dst, 0, familyIPv6, byte(port>>8), byte(port))
	for i, b := range ip.As16() {
		dst = append(dst, b^mask[i])
	}
	return dst
}

func parseXORAddress(value, id []byte) (netip.AddrPort, bool) {
	if len(value) < 4 {
		return netip.AddrPort{}, false
	}
	mask := xorMask(id)
	port := binary.BigEndian.Uint16(value[2:]) ^ magicCookie>>16
	var ip [16]byte
	switch family := value[1]; {
	case family == familyIPv4 && len(value) == 8, family == familyIPv6 && len(value) == 20:
		for i, b := range value[4:] {
			ip[i] = b ^ mask[i]
		}
	default:
		return netip.AddrPort{}, false
	}
	if len(value) == 8 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[:4])), port), true
	}
	return netip.AddrPortFrom(netip.AddrFrom16(ip), port), true
}

// appendIndication appends a Send or Data indication (RFC 8656 sections 11.1 and 11.3). Its
// transaction id tells nobody anything, so it need not be hard to guess.
func appendIndication(dst []byte, messageType uint16, peer netip.AddrPort, payload []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, messageType)
	dst = append(dst, 0, 0) // the length, below
	dst = binary.BigEndian.AppendUint32(dst, magicCookie)
	dst = binary.BigEndian.AppendUint64(dst, rand.Uint64())
	dst = binary.BigEndian.AppendUint32(dst, rand.Uint32())
	id := [12]byte(dst[start+8:])

	size := 8
	if !peer.Addr().Unmap().Is4() {
		size = 20
	}
	dst = binary.BigEndian.AppendUint16(dst, attrXORPeerAddress)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	dst = appendXORAddress(dst, peer, id[:])
	dst = binary.BigEndian.AppendUint16(dst, attrData)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	dst = append(dst, payload...)
	dst = appendPadding(dst, len(payload))
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start-stunHeader))
	return dst
}

// parseIndication takes a Send or Data indication apart (RFC 8656 sections 11.2 and 11.4) without
// allocating. Of an attribute that stands twice the first counts (RFC 8489 section 14). One with an
// attribute that must be understood and is not, such as DONT-FRAGMENT, is not ok: it is to be
// discarded (RFC 8489 section 6.3.2).
func parseIndication(f Frame) (peer netip.AddrPort, payload []byte, ok bool) {
	if !f.wellFormed() {
		return peer, nil, false
	}
	var hasPeer, hasData bool
	for rest := f[stunHeader:]; len(rest) > 0; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		value := rest[4 : 4+length]
		switch attribute := binary.BigEndian.Uint16(rest); {
		case attribute == attrXORPeerAddress && !hasPeer:
			if peer, hasPeer = parseXORAddress(value, f[8:stunHeader]); !hasPeer {
				return peer, nil, false
			}
		case attribute == attrData && !hasData:
			payload, hasData = value, true
		case mustBeUnderstood(attribute):
			return peer, nil, false
		}
		rest = rest[4+padded(length):]
	}
	return peer, payload, hasPeer && hasData
}

// mustBeUnderstood tells whether an indication with the attribute cannot be processed. Credentials
// have no place in one, but do no harm.
func mustBeUnderstood(attribute uint16) bool {
	switch stun.AttrType(attribute) {
	case attrXORPeerAddress, attrData, stun.AttrUsername, stun.AttrRealm, stun.AttrNonce, stun.AttrMessageIntegrity:
		return false
	}
	return attribute < 0x8000
}

// peerAddress is an XOR-PEER-ADDRESS attribute.
type peerAddress netip.AddrPort

func (p peerAddress) AddTo(m *stun.Message) error {
	m.Add(stun.AttrXORPeerAddress, appendXORAddress(nil, netip.AddrPort(p), m.TransactionID[:]))
	return nil
}

// address returns an XOR address attribute of a response.
func address(m *stun.Message, attribute stun.AttrType) (netip.AddrPort, error) {
	value, err := m.Get(attribute)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%s: the response has no %s", m.Type.Method, attribute)
	}
	a, ok := parseXORAddress(value, m.TransactionID[:])
	if !ok {
		return a, fmt.Errorf("%s: the response's %s is malformed", m.Type.Method, attribute)
	}
	return a, nil
}

func lifetime(m *stun.Message) (time.Duration, error) {
	value, err := m.Get(stun.AttrLifetime)
	if err != nil || len(value) != 4 {
		return 0, fmt.Errorf("%s: the response has no valid LIFETIME", m.Type.Method)
	}
	return time.Duration(binary.BigEndian.Uint32(value)) * time.Second, nil
}
