package nlmp

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"strings"

	//lint:ignore SA1019 NTLM is defined with MD4 (MS-NLMP 3.3.1)
	"golang.org/x/crypto/md4"
)

// NTHash is NTOWFv1: MD4 of the password in UTF-16 (MS-NLMP 3.3.1). It is as good as the password.
func NTHash(password string) []byte {
	h := md4.New()
	h.Write(UTF16(password))
	return h.Sum(nil)
}

// NTOWFv2 is the key of all NTLMv2 responses of an account (MS-NLMP 3.3.2). User and domain are
// those of the AUTHENTICATE message; only the user is raised to capitals.
func NTOWFv2(ntHash []byte, user, domain string) []byte {
	return HMAC(ntHash, UTF16(strings.ToUpper(user)+domain))
}

// NTProofStr is the proof that begins the NTLMv2 response (MS-NLMP 3.3.2); blob is the rest of that.
func NTProofStr(ntowfv2, serverChallenge, blob []byte) []byte {
	return HMAC(ntowfv2, serverChallenge, blob)
}

// SessionBaseKey is the session key before any key exchange (MS-NLMP 3.3.2); without key exchange
// it is the exported session key too.
func SessionBaseKey(ntowfv2, ntProofStr []byte) []byte {
	return HMAC(ntowfv2, ntProofStr)
}

// MIC protects the three messages against change (MS-NLMP 3.1.5.1.2). In authenticate its own 16
// bytes are taken as zero, whatever they are.
func MIC(sessionKey, negotiate, challenge, authenticate []byte) []byte {
	var zero [16]byte
	return HMAC(sessionKey, negotiate, challenge,
		authenticate[:OffsetMIC], zero[:], authenticate[OffsetMIC+16:])
}

// ClientSignKey is the key of signatures from client to server under extended session security
// (MS-NLMP 3.4.5.2).
func ClientSignKey(sessionKey []byte) []byte {
	return md5sum(sessionKey, []byte("session key to client-to-server signing key magic constant\x00"))
}

// ClientSealKey is the RC4 key of the same direction (MS-NLMP 3.4.5.3).
func ClientSealKey(sessionKey []byte, flags Flags) []byte {
	switch {
	case flags&Key128 != 0:
	case flags&Key56 != 0:
		sessionKey = sessionKey[:7]
	default:
		sessionKey = sessionKey[:5]
	}
	return md5sum(sessionKey, []byte("session key to client-to-server sealing key magic constant\x00"))
}

// Checksum is the middle of a message signature under extended session security, before the RC4
// that key exchange adds (MS-NLMP 3.4.4.2).
func Checksum(signKey []byte, sequence uint32, msg []byte) []byte {
	return HMAC(signKey, binary.LittleEndian.AppendUint32(nil, sequence), msg)[:8]
}

// AppendSignature makes a message signature of a checksum (MS-NLMP 2.2.2.9.2).
func AppendSignature(b, checksum []byte, sequence uint32) []byte {
	b = append(b, 1, 0, 0, 0)
	b = append(b, checksum...)
	return binary.LittleEndian.AppendUint32(b, sequence)
}

// BindingHash is the value of AvChannelBindings: MD5 of a gss_channel_bindings_struct that has only
// application data (MS-NLMP 2.2.2.1, RFC 2744 section 3.11), or zeros when there is none.
func BindingHash(applicationData []byte) []byte {
	if applicationData == nil {
		return make([]byte, 16)
	}
	var header [20]byte // types and lengths of two absent addresses, then the length of the data
	binary.LittleEndian.PutUint32(header[16:], uint32(len(applicationData)))
	return md5sum(header[:], applicationData)
}

// HMAC is HMAC-MD5 over the parts in a row.
func HMAC(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func md5sum(parts ...[]byte) []byte {
	h := md5.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
