package nlmp

import (
	"encoding/binary"
	"fmt"
)

// A ChallengeMessage is a decoded CHALLENGE message (MS-NLMP 2.2.1.2).
type ChallengeMessage struct {
	Flags           Flags
	ServerChallenge [8]byte
	TargetName      string
	Version         []byte // eight bytes, or nil
	Info            []AVPair

	// Oddities are faults that a client can live with.
	Oddities []string
}

// ParseChallenge decodes a CHALLENGE message. A target name or target info that lies outside the
// message is an oddity and taken as absent: a client does not need the name, and servers older
// than TargetInfo have other bytes at its place (Squid's ntlm_fake_auth does both).
func ParseChallenge(msg []byte) (*ChallengeMessage, error) {
	typ, err := Type(msg)
	if err != nil {
		return nil, err
	}
	if typ != Challenge {
		return nil, fmt.Errorf("NTLM message of type %d where the challenge (type 2) is due", typ)
	}
	if len(msg) < 32 {
		return nil, fmt.Errorf("NTLM challenge of %d bytes, at least 32 are needed", len(msg))
	}
	c := &ChallengeMessage{Flags: Flags(binary.LittleEndian.Uint32(msg[20:]))}
	copy(c.ServerChallenge[:], msg[24:])
	c.parseTargetName(msg)
	return c, c.parseInfo(msg)
}

func (c *ChallengeMessage) parseTargetName(msg []byte) {
	name, err := Field(msg, 12)
	if err != nil {
		c.odd("target name", err)
		return
	}
	if c.Flags&Unicode != 0 {
		c.TargetName = String(name)
	} else {
		c.TargetName = string(name)
	}
}

func (c *ChallengeMessage) parseInfo(msg []byte) error {
	if c.Flags&Version != 0 && len(msg) >= 56 {
		c.Version = msg[48:56]
	}
	if len(msg) < 48 {
		return nil
	}
	info, err := Field(msg, 40)
	if err != nil {
		c.odd("target info", err)
		return nil
	}
	c.Info, err = ParseAVPairs(info)
	if err != nil {
		return fmt.Errorf("target info of the NTLM challenge: %w", err)
	}
	if stamp := Lookup(c.Info, AvTimestamp); stamp != nil && len(stamp) != 8 {
		return fmt.Errorf("timestamp of the NTLM challenge has %d bytes instead of 8", len(stamp))
	}
	return nil
}

func (c *ChallengeMessage) odd(what string, err error) {
	c.Oddities = append(c.Oddities, fmt.Sprintf("%s: %v", what, err))
}
