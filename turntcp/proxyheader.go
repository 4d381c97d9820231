package turntcp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// The PROXY protocol (haproxy.org, proxy-protocol.txt): a load balancer before us announces whom it
// connects. The announced address is a label for limits and the audit; for TURN the client's address
// is the socket's.

const (
	maxHeaderV1 = 107 // bytes of a line, its end included
	maxHeaderV2 = 2048
	fixedV2     = 16 // bytes before what is of variable length
)

// readProxyHeader reads the header that a connection begins with, not a byte more, and returns the
// address that it announces: none if it is about the proxy itself (LOCAL) or of somebody unknown.
func readProxyHeader(r io.Reader) (netip.AddrPort, error) {
	raw, err := takeHeader(r)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if isUnspecified(raw) {
		return netip.AddrPort{}, nil
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(raw), len(raw)))
	if err != nil {
		return netip.AddrPort{}, err
	}
	from, ok := h.SourceAddr.(*net.TCPAddr)
	if h.Command.IsLocal() || !ok {
		return netip.AddrPort{}, nil
	}
	at := from.AddrPort()
	return netip.AddrPortFrom(plain(at.Addr()), at.Port()), nil
}

// takeHeader reads as many bytes as the header has.
func takeHeader(r io.Reader) ([]byte, error) {
	raw := make([]byte, 1, maxHeaderV1)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, err
	}
	switch raw[0] {
	case proxyproto.SIGV1[0]:
		return takeLine(r, raw)
	case proxyproto.SIGV2[0]:
		return takeBinary(r, raw)
	}
	return nil, proxyproto.ErrNoProxyProtocol
}

func takeLine(r io.Reader, raw []byte) ([]byte, error) {
	for raw[len(raw)-1] != '\n' {
		if len(raw) == maxHeaderV1 {
			return nil, proxyproto.ErrVersion1HeaderTooLong
		}
		raw = raw[:len(raw)+1]
		if _, err := io.ReadFull(r, raw[len(raw)-1:]); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

func takeBinary(r io.Reader, raw []byte) ([]byte, error) {
	raw = raw[:fixedV2]
	if _, err := io.ReadFull(r, raw[1:]); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(raw, proxyproto.SIGV2) {
		return nil, proxyproto.ErrNoProxyProtocol
	}
	length := int(binary.BigEndian.Uint16(raw[fixedV2-2:]))
	if length > maxHeaderV2 {
		return nil, fmt.Errorf("%d bytes, more than %d", length, maxHeaderV2)
	}
	raw = append(raw, make([]byte, length)...)
	_, err := io.ReadFull(r, raw[fixedV2:])
	return raw, err
}

// isUnspecified tells a header of version 2 that connects somebody of no family, which the library
// takes for an error and the protocol leaves to the receiver.
func isUnspecified(raw []byte) bool {
	return raw[0] == proxyproto.SIGV2[0] && raw[12] == byte(proxyproto.PROXY) && raw[13] == byte(proxyproto.UNSPEC)
}
