package nlmp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Ids of AV pairs (MS-NLMP 2.2.2.1).
const (
	AvEOL             = 0
	AvNbComputerName  = 1
	AvNbDomainName    = 2
	AvDNSComputerName = 3
	AvDNSDomainName   = 4
	AvDNSTreeName     = 5
	AvFlags           = 6
	AvTimestamp       = 7
	AvTargetName      = 9
	AvChannelBindings = 10
)

// AvFlagMIC in AvFlags says that the AUTHENTICATE message carries a MIC.
const AvFlagMIC = 0x2

// An AVPair is one attribute of TargetInfo.
type AVPair struct {
	ID    uint16
	Value []byte
}

// ParseAVPairs reads a list up to its AvEOL; what follows that is ignored. A list that just ends is
// taken as complete, for some servers leave the AvEOL out. The values are parts of b.
func ParseAVPairs(b []byte) ([]AVPair, error) {
	var pairs []AVPair
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errors.New("AV pair cut off in its header")
		}
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == AvEOL {
			break
		}
		if len(b) < 4+n {
			return nil, fmt.Errorf("AV pair %d says %d bytes where %d are left", id, n, len(b)-4)
		}
		pairs = append(pairs, AVPair{id, b[4 : 4+n]})
		b = b[4+n:]
	}
	return pairs, nil
}

// AppendAVPairs appends a list and its AvEOL.
func AppendAVPairs(b []byte, pairs []AVPair) []byte {
	for _, p := range pairs {
		b = binary.LittleEndian.AppendUint16(b, p.ID)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.Value)))
		b = append(b, p.Value...)
	}
	return append(b, 0, 0, 0, 0)
}

// Lookup returns the first value with this id, or nil.
func Lookup(pairs []AVPair, id uint16) []byte {
	for _, p := range pairs {
		if p.ID == id {
			return p.Value
		}
	}
	return nil
}
