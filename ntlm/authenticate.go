package ntlm

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/Azure/go-ntlmssp"
	"github.com/turngate/turngate/ntlm/internal/nlmp"
)

// authenticate answers a challenge message, given exactly as received, with an authenticate message
// and the session key behind it (MS-NLMP 3.1.5.1.2).
func (e *Exchange) authenticate(challenge []byte) (msg, sessionKey []byte, err error) {
	parsed, err := nlmp.ParseChallenge(challenge)
	if err != nil {
		return nil, nil, err
	}
	if parsed.Flags&nlmp.Unicode == 0 {
		return nil, nil, fmt.Errorf("the proxy did not agree to Unicode (flags %#08x: %v)", uint32(parsed.Flags), Flags(parsed.Flags))
	}
	e.realm = realm(parsed)
	msg, err = ntlmssp.NewAuthenticateMessage(e.plain(parsed), e.domain+`\`+e.user, hex.EncodeToString(e.ntHash),
		&ntlmssp.AuthenticateMessageOptions{WorkstationName: e.workstation, PasswordHashed: true})
	if err != nil {
		return nil, nil, err
	}
	if msg, err = makeRoom(msg); err != nil {
		return nil, nil, err
	}
	if sessionKey, err = e.sessionKey(msg); err != nil {
		return nil, nil, err
	}
	copy(msg[nlmp.OffsetMIC:], nlmp.MIC(sessionKey, e.negotiate, challenge, msg))
	return msg, sessionKey, nil
}

// plain rewrites a challenge for go-ntlmssp, which echoes flags and target info as they are:
//
//   - The flags keep only what our type 1 offered. Some servers set KEY_EXCH or LM_KEY unasked, which
//     go-ntlmssp refuses; leaving them out of the response declines them.
//   - The target name is left out: go-ntlmssp has no use for it and refuses a malformed one.
//   - The target info gets our pairs.
func (e *Exchange) plain(c *nlmp.ChallengeMessage) []byte {
	info := nlmp.AppendAVPairs(nil, e.pairs(c.Info))
	offered := nlmp.Flags(binary.LittleEndian.Uint32(e.negotiate[12:]))
	b := append([]byte(nlmp.Signature), nlmp.Challenge, 0, 0, 0)
	b = nlmp.AppendFieldHeader(b, 0, 48)
	b = binary.LittleEndian.AppendUint32(b, uint32(c.Flags&offered))
	b = append(b, c.ServerChallenge[:]...)
	b = append(b, make([]byte, 8)...)
	b = nlmp.AppendFieldHeader(b, len(info), 48)
	return append(b, info...)
}

// pairs adds to the server's pairs what the client says under the protection of the response: that
// there is a MIC, to which service and over which channel (MS-NLMP 3.1.5.1.2). A server's own pairs
// of these ids make no sense and are dropped, but for the bits of its flags.
func (e *Exchange) pairs(server []nlmp.AVPair) []nlmp.AVPair {
	var flags uint32 = nlmp.AvFlagMIC
	var pairs []nlmp.AVPair
	for _, p := range server {
		switch p.ID {
		case nlmp.AvFlags:
			if len(p.Value) == 4 {
				flags |= binary.LittleEndian.Uint32(p.Value)
			}
		case nlmp.AvTargetName, nlmp.AvChannelBindings:
		default:
			pairs = append(pairs, p)
		}
	}
	pairs = append(pairs,
		nlmp.AVPair{ID: nlmp.AvFlags, Value: binary.LittleEndian.AppendUint32(nil, flags)},
		nlmp.AVPair{ID: nlmp.AvChannelBindings, Value: e.binding})
	if e.proxyHost != "" {
		pairs = append(pairs, nlmp.AVPair{ID: nlmp.AvTargetName, Value: nlmp.UTF16("HTTP/" + e.proxyHost)})
	}
	return pairs
}

// makeRoom inserts Version and an empty MIC into go-ntlmssp's message, whose header ends before
// them, and moves the payload behind.
func makeRoom(msg []byte) ([]byte, error) {
	const room = nlmp.AuthenticateLen - nlmp.OffsetVersion
	if len(msg) < nlmp.OffsetVersion {
		return nil, fmt.Errorf("go-ntlmssp made a message of %d bytes", len(msg))
	}
	grown := make([]byte, 0, len(msg)+room)
	grown = append(grown, msg[:nlmp.OffsetVersion]...)
	grown = append(grown, make([]byte, room)...)
	grown = append(grown, msg[nlmp.OffsetVersion:]...)
	for off := nlmp.OffsetLM; off < nlmp.OffsetSessionKey; off += 8 {
		start := binary.LittleEndian.Uint32(grown[off+4:])
		if start < nlmp.OffsetVersion || int(start) > len(msg) {
			return nil, errors.New("go-ntlmssp made a message with its payload elsewhere")
		}
		binary.LittleEndian.PutUint32(grown[off+4:], start+room)
	}
	// No session key is sent. Its empty field points at the end, as Windows writes it.
	binary.LittleEndian.PutUint32(grown[nlmp.OffsetSessionKey+4:], uint32(len(grown)))
	flags := nlmp.Flags(binary.LittleEndian.Uint32(grown[nlmp.OffsetFlags:])) | nlmp.Version
	binary.LittleEndian.PutUint32(grown[nlmp.OffsetFlags:], uint32(flags))
	v := ntlmssp.DefaultVersion()
	copy(grown[nlmp.OffsetVersion:], []byte{v.ProductMajorVersion, v.ProductMinorVersion,
		byte(v.ProductBuild), byte(v.ProductBuild >> 8), 0, 0, 0, v.NTLMRevisionCurrent})
	return grown, nil
}

// sessionKey derives the session key of the response in msg. Without key exchange it is the session
// base key.
func (e *Exchange) sessionKey(msg []byte) ([]byte, error) {
	response, err := nlmp.Field(msg, nlmp.OffsetNT)
	if err != nil {
		return nil, err
	}
	if len(response) < 16 {
		return nil, fmt.Errorf("go-ntlmssp made a response of %d bytes", len(response))
	}
	return nlmp.SessionBaseKey(nlmp.NTOWFv2(e.ntHash, e.user, e.domain), response[:16]), nil
}

// realm is the domain that a challenge names.
func realm(c *nlmp.ChallengeMessage) string {
	for _, id := range []uint16{nlmp.AvDNSDomainName, nlmp.AvNbDomainName} {
		if name := nlmp.String(nlmp.Lookup(c.Info, id)); name != "" {
			return name
		}
	}
	return c.TargetName
}
