package ntlm

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/turngate/turngate/ntlm/internal/nlmp"
)

// A Challenge is what a proxy's challenge (type 2) tells about it, for a diagnosis. All names are
// the proxy's word: print them with %q. The nonce is left out, since with it and a recorded
// response a password can be guessed off line.
type Challenge struct {
	Flags      Flags
	TargetName string // NetBIOS name of the domain or, for a server without one, of the server

	NetBIOSComputer, NetBIOSDomain           string
	DNSComputer, DNSDomain, DNSTree          string
	Timestamp                                time.Time // the server's clock; zero when it sent none, as Windows before Vista does
	ProductMajor, ProductMinor, ProductBuild int       // version of Windows (10, 0, 17763); zeros when not said

	// SPNEGO tells that the message came inside a SPNEGO token.
	SPNEGO bool

	// Oddities are faults of the message that Exchange works around, in words.
	Oddities []string
}

// ParseChallenge decodes a challenge, what follows the scheme in Proxy-Authenticate after base64:
// an NTLM message (MS-NLMP 2.2.1.2) or a SPNEGO NegTokenResp with one in it. It takes what Exchange
// takes, at most 16 kB.
func ParseChallenge(token []byte) (Challenge, error) {
	msg, wrapped, err := unwrapChallenge(token)
	if err != nil {
		return Challenge{}, &ChallengeError{Err: err}
	}
	m, err := nlmp.ParseChallenge(msg)
	if err != nil {
		return Challenge{}, &ChallengeError{Err: err}
	}
	name := func(id uint16) string { return nlmp.String(nlmp.Lookup(m.Info, id)) }
	c := Challenge{
		Flags: Flags(m.Flags), TargetName: m.TargetName,
		NetBIOSComputer: name(nlmp.AvNbComputerName), NetBIOSDomain: name(nlmp.AvNbDomainName),
		DNSComputer: name(nlmp.AvDNSComputerName), DNSDomain: name(nlmp.AvDNSDomainName), DNSTree: name(nlmp.AvDNSTreeName),
		SPNEGO: wrapped, Oddities: m.Oddities,
	}
	if stamp := nlmp.Lookup(m.Info, nlmp.AvTimestamp); stamp != nil {
		c.Timestamp = nlmp.Time(stamp)
	}
	if m.Version != nil {
		c.ProductMajor, c.ProductMinor = int(m.Version[0]), int(m.Version[1])
		c.ProductBuild = int(binary.LittleEndian.Uint16(m.Version[2:]))
	}
	return c, nil
}

// Flags are the negotiate flags of a message (MS-NLMP 2.2.2.5).
type Flags uint32

// String lists the flags by the names of MS-NLMP, without their prefix NTLMSSP_NEGOTIATE.
func (f Flags) String() string {
	var names []string
	for bit, name := range nlmp.FlagNames {
		if f&(1<<bit) == 0 {
			continue
		}
		if name == "" {
			name = fmt.Sprintf("bit%d", bit)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// printable makes a name from the wire fit for an error: one line, not long.
func printable(name string) string {
	const limit = 80
	if runes := []rune(name); len(runes) > limit {
		name = string(runes[:limit]) + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, name)
}
