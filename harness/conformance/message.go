package conformance

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/pion/stun/v4"
)

// Attributes that pion/stun has no name for.
const (
	attrAdditionalAddressFamily stun.AttrType = 0x8000 // RFC 8656 section 18
	attrAddressErrorCode        stun.AttrType = 0x8001
	attrICMP                    stun.AttrType = 0x8004
	attrMobilityTicket          stun.AttrType = 0x8030 // RFC 8016
	attrThirdPartyAuthorization stun.AttrType = 0x802E // RFC 7635

	attrUnknownRequired stun.AttrType = 0x7F3A // not assigned; must be understood
	attrUnknownOptional stun.AttrType = 0xFE3A // not assigned; may be ignored
)

// Protocol numbers and address families as they stand in attributes.
const (
	protocolTCP = 6
	protocolUDP = 17

	familyIPv4 = 1
	familyIPv6 = 2
)

func raw(t stun.AttrType, value ...byte) stun.Setter { return stun.RawAttribute{Type: t, Value: value} }

func transport(protocol byte) stun.Setter { return raw(stun.AttrRequestedTransport, protocol, 0, 0, 0) }

func family(f byte) stun.Setter { return raw(stun.AttrRequestedAddressFamily, f, 0, 0, 0) }

func lifetime(seconds uint32) stun.Setter {
	return raw(stun.AttrLifetime, binary.BigEndian.AppendUint32(nil, seconds)...)
}

func channelNumber(n uint16) stun.Setter {
	return raw(stun.AttrChannelNumber, byte(n>>8), byte(n), 0, 0)
}

func evenPort(reserve bool) stun.Setter {
	if reserve {
		return raw(stun.AttrEvenPort, 0x80)
	}
	return raw(stun.AttrEvenPort, 0)
}

// peerAddress is an XOR-PEER-ADDRESS attribute.
type peerAddress netip.AddrPort

func (p peerAddress) AddTo(m *stun.Message) error {
	a := stun.XORMappedAddress{IP: netip.AddrPort(p).Addr().AsSlice(), Port: int(netip.AddrPort(p).Port())}
	return a.AddToAs(m, stun.AttrXORPeerAddress)
}

// permissionFor is a peer address without a port.
func permissionFor(a netip.Addr) stun.Setter { return peerAddress(netip.AddrPortFrom(a, 0)) }

// address returns an XOR address attribute.
func address(m *stun.Message, attribute stun.AttrType) (netip.AddrPort, bool) {
	var a stun.XORMappedAddress
	if a.GetFromAs(m, attribute) != nil {
		return netip.AddrPort{}, false
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	return netip.AddrPortFrom(ip.Unmap(), uint16(a.Port)), ok
}

// seconds returns a LIFETIME attribute.
func seconds(m *stun.Message) (uint32, bool) {
	value, err := m.Get(stun.AttrLifetime)
	if err != nil || len(value) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(value), true
}

// errorCode is that of an error response, 0 for any other message.
func errorCode(m *stun.Message) int {
	var code stun.ErrorCodeAttribute
	if m.Type.Class != stun.ClassErrorResponse || code.GetFrom(m) != nil {
		return 0
	}
	return int(code.Code)
}

// outcome says in a few words what a response says: "success", "error 437".
func outcome(m *stun.Message) string {
	switch {
	case m.Type.Class == stun.ClassSuccessResponse:
		return "success"
	case m.Type.Class != stun.ClassErrorResponse:
		return m.Type.String()
	case errorCode(m) == 0:
		return "an error without ERROR-CODE"
	}
	return fmt.Sprintf("error %d", errorCode(m))
}

// describe names a message and its attributes, without their values: some are secrets, others differ in every
// run.
func describe(m *stun.Message) string {
	words := []string{m.Type.Method.String()}
	switch m.Type.Class {
	case stun.ClassRequest:
	case stun.ClassIndication:
		words[0] += " indication"
	default:
		words[0] += " " + outcome(m)
	}
	for _, a := range m.Attributes {
		words = append(words, attributeName(a.Type))
	}
	return strings.Join(words, " ")
}

func attributeName(t stun.AttrType) string {
	switch t {
	case attrAdditionalAddressFamily:
		return "ADDITIONAL-ADDRESS-FAMILY"
	case attrAddressErrorCode:
		return "ADDRESS-ERROR-CODE"
	case attrICMP:
		return "ICMP"
	case attrMobilityTicket:
		return "MOBILITY-TICKET"
	case attrThirdPartyAuthorization:
		return "THIRD-PARTY-AUTHORIZATION"
	}
	return t.String()
}

// request names a request for a reason: its method, and the attributes that are no credentials.
func request(m *stun.Message) string {
	var names []string
	for _, a := range m.Attributes {
		switch a.Type {
		case stun.AttrUsername, stun.AttrRealm, stun.AttrNonce, stun.AttrMessageIntegrity:
		default:
			names = append(names, attributeName(a.Type))
		}
	}
	if names == nil {
		return m.Type.Method.String()
	}
	return m.Type.Method.String() + " with " + strings.Join(names, ", ")
}

// describeFrame is describe for what came from the stream.
func describeFrame(f frame) string {
	if f.isChannelData() {
		return fmt.Sprintf("ChannelData %#04x, %d bytes", f.channel(), len(f.payload()))
	}
	var m stun.Message
	if err := stun.Decode(f, &m); err != nil {
		return fmt.Sprintf("a STUN message of %d bytes that cannot be decoded", len(f))
	}
	return describe(&m)
}
