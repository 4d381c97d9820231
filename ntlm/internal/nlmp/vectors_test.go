package nlmp

import (
	"bytes"
	"crypto/rc4"
	"encoding/hex"
	"strings"
	"testing"
)

// The values of MS-NLMP 4.2.1 and 4.2.4 (NTLMv2 authentication). Whitespace is for the reader.
const (
	challengeHex = `4e544c4d53535000 02000000 0c000c00 38000000 33828ae2 0123456789abcdef
		0000000000000000 24002400 44000000 060070170000000f 530065007200760065007200
		02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000`
	authenticateHex = `4e544c4d53535000 03000000 18001800 6c000000 54005400 84000000 0c000c00 48000000
		08000800 54000000 10001000 5c000000 10001000 d8000000 358288e2 0501280a0000000f
		44006f006d00610069006e00 5500730065007200 43004f004d0050005500540045005200
		86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa
		68cd0ab851e51c96aabc927bebef6a1c
		0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000
		02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000 00000000
		c5dad2544fc9799094ce1ce90bc9d03e`
	randomSessionKey = "55555555555555555555555555555555"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rc4Of(t *testing.T, key, data []byte) []byte {
	t.Helper()
	c, err := rc4.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

func TestKeysOfTheSpecification(t *testing.T) {
	authenticate := unhex(t, authenticateHex)
	response, err := Field(authenticate, OffsetNT)
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := ParseChallenge(unhex(t, challengeHex))
	if err != nil {
		t.Fatal(err)
	}
	ntHash := NTHash("Password")
	ntowf := NTOWFv2(ntHash, "User", "Domain")
	proof := NTProofStr(ntowf, challenge.ServerChallenge[:], response[16:])
	base := SessionBaseKey(ntowf, proof)
	encrypted, err := Field(authenticate, OffsetSessionKey)
	if err != nil {
		t.Fatal(err)
	}
	exported := rc4Of(t, base, encrypted)
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"NTOWFv1 (4.2.2.1.2)", ntHash, "a4f49c406510bdcab6824ee7c30fd852"},
		{"NTOWFv2 (4.2.4.1.1)", ntowf, "0c868a403bfd7a93a3001ef22ef02e3f"},
		{"NTProofStr (4.2.4.2.2)", proof, "68cd0ab851e51c96aabc927bebef6a1c"},
		{"NTProofStr of the message", response[:16], "68cd0ab851e51c96aabc927bebef6a1c"},
		{"session base key (4.2.4.1.2)", base, "8de40ccadbc14a82f15cb0ad0de95ca3"},
		{"exported session key (4.2.4.2.3)", exported, randomSessionKey},
		{"sign key (4.2.4.4)", ClientSignKey(exported), "4788dc861b4782f35d43fd98fe1a2d39"},
		{"seal key (4.2.4.4)", ClientSealKey(exported, Key128|Key56), "59f600973cc4960a25480a7c196e4c58"},
	} {
		if want := unhex(t, c.want); !bytes.Equal(c.got, want) {
			t.Errorf("%s: got %x, want %x", c.name, c.got, want)
		}
	}
}

// GSS_WrapEx of MS-NLMP 4.2.4.4: the message is sealed first, and the checksum with the same stream.
func TestSignatureOfTheSpecification(t *testing.T) {
	key := unhex(t, randomSessionKey)
	plaintext := UTF16("Plaintext")
	sum := Checksum(ClientSignKey(key), 0, plaintext)
	sealed := rc4Of(t, ClientSealKey(key, Key128), append(bytes.Clone(plaintext), sum...))
	got := AppendSignature(nil, sealed[len(plaintext):], 0)
	if want := unhex(t, "01000000 7fb38ec5c55d4976 00000000"); !bytes.Equal(got, want) {
		t.Errorf("signature: got %x, want %x", got, want)
	}
	if want := unhex(t, "54e50165bf1936dc996020c1811b0f06fb5f"); !bytes.Equal(sealed[:len(plaintext)], want) {
		t.Errorf("sealed: got %x, want %x", sealed[:len(plaintext)], want)
	}
}

func TestSealKeyIsWeakenedByFlags(t *testing.T) {
	key := unhex(t, "000102030405060708090a0b0c0d0e0f")
	for _, c := range []struct {
		flags Flags
		want  []byte
	}{{Key128 | Key56, key}, {Key56, key[:7]}, {0, key[:5]}} {
		// With 128 bits the key is taken whole, so a shorter key under that flag says the same.
		if got, want := ClientSealKey(key, c.flags), ClientSealKey(c.want, Key128); !bytes.Equal(got, want) {
			t.Errorf("flags %#x: got %x, want %x", c.flags, got, want)
		}
	}
}

func TestMICIgnoresItsOwnBytes(t *testing.T) {
	key := unhex(t, randomSessionKey)
	msg := bytes.Repeat([]byte{7}, AuthenticateLen+5)
	zeroed := bytes.Clone(msg)
	clear(zeroed[OffsetMIC:AuthenticateLen])
	want := HMAC(key, []byte("one"), []byte("two"), zeroed)
	if got := MIC(key, []byte("one"), []byte("two"), msg); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestBindingHash(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"none", nil, "00000000000000000000000000000000"},
		// A published pair of certificate hash and binding that several NTLM implementations carry.
		{"end point", append([]byte("tls-server-end-point:"), unhex(t, "ea05fefecc6b0bd571dbbc5baa3ed45386d0446835f7b74c85621b9983475f95")...), "6586e99d81c2fc984e47172fd4dd0310"},
	} {
		if got := hex.EncodeToString(BindingHash(c.data)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
