package krb5

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestStringToKey has the vectors of RFC 3962 appendix B, RFC 8009 appendix A and RFC 4757.
func TestStringToKey(t *testing.T) {
	binarySalt := "\x10\xdf\x9d\xd7\x83\xe5\xbc\x8a\xce\xa1\x73\x0e\x74\x35\x5f\x61ATHENA.MIT.EDUraeburn"
	for _, tt := range []struct {
		etype          int32
		password, salt string
		params, want   string
	}{
		{AES128SHA1, "password", "ATHENA.MIT.EDUraeburn", "00000001", "42263c6e89f4fc28b8df68ee09799f15"},
		{AES256SHA1, "password", "ATHENA.MIT.EDUraeburn", "00000001", "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161"},
		{AES128SHA1, "password", "ATHENA.MIT.EDUraeburn", "000004b0", "4c01cd46d632d01e6dbe230a01ed642a"},
		{AES128SHA2, "password", binarySalt, "00008000", "089bca48b105ea6ea77ca5d2f39dc5e7"},
		{AES256SHA2, "password", binarySalt, "", "45bd806dbf6a833a9cffc1c94589a222367a79bc21c413718906e9f578a78467"},
		{RC4, "password", "", "", "8846f7eaee8fb117ad06bdd830b7586c"},
	} {
		params, _ := hex.DecodeString(tt.params)
		key, err := StringToKey(tt.etype, tt.password, tt.salt, params)
		if got := hex.EncodeToString(key.Value); err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v, want %s", EtypeName(tt.etype), got, err, tt.want)
		}
	}
}

func TestStringToKeyRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		etype int32
		want  string
		param []byte
	}{
		{"endless work", AES256SHA1, "iteration count 4294967295 is refused", []byte{255, 255, 255, 255}},
		{"2^32 in disguise", AES256SHA2, "iteration count 0 is refused", []byte{0, 0, 0, 0}},
		{"odd parameters", AES128SHA1, "parameters of 3 bytes", []byte{0, 0, 1}},
		{"DES", 3, "encryption type 3 is not supported", nil},
	} {
		if _, err := StringToKey(tt.etype, "p", "s", tt.param); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestEncryption(t *testing.T) {
	for _, etype := range Etypes() {
		t.Run(EtypeName(etype), func(t *testing.T) {
			key, err := NewKey(etype)
			if err != nil {
				t.Fatal(err)
			}
			for _, plain := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("0123456789abcdef"), 3), bytes.Repeat([]byte("y"), 1000)} {
				d, err := Encrypt(key, UsageTicket, plain)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := Decrypt(key, UsageTicket, d); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes: got %q, %v", len(plain), got, err)
				}
				if _, err := Decrypt(key, UsageASRep, d); err == nil {
					t.Errorf("%d bytes: opens for another usage", len(plain))
				}
				d.Cipher[len(d.Cipher)-1] ^= 1
				if _, err := Decrypt(key, UsageTicket, d); err == nil {
					t.Errorf("%d bytes: opens after a bit was changed", len(plain))
				}
			}
			sum, err := Sum(key, UsageTGSChecksum, []byte("data"))
			if err != nil || !VerifySum(key, UsageTGSChecksum, []byte("data"), sum) || VerifySum(key, UsageTGSChecksum, []byte("Data"), sum) {
				t.Errorf("checksum %v, %v does not tell data from other data", sum, err)
			}
			for n := range 64 {
				if _, err := Decrypt(key, UsageTicket, EncryptedData{Etype: etype, Cipher: make([]byte, n)}); err == nil {
					t.Errorf("%d zero bytes open", n)
				}
			}
		})
	}
}

func TestKeysOfTheWrongSize(t *testing.T) {
	for _, key := range []Key{{}, {Etype: 99}, {AES256SHA1, make([]byte, 16)}, {AES256SHA2, make([]byte, 24)}} {
		if _, err := Encrypt(key, 1, []byte("x")); err == nil {
			t.Errorf("%v of %d bytes encrypts", key, len(key.Value))
		}
		if _, err := Decrypt(key, 1, EncryptedData{Etype: key.Etype, Cipher: make([]byte, 100)}); err == nil {
			t.Errorf("%v of %d bytes decrypts", key, len(key.Value))
		}
		if _, err := Sum(key, 1, nil); err == nil {
			t.Errorf("%v of %d bytes signs", key, len(key.Value))
		}
	}
}

func TestEtypesNamed(t *testing.T) {
	for _, tt := range []struct {
		word string
		want []int32
	}{
		{"aes256-cts-hmac-sha1-96", []int32{18}}, {"AES256-CTS", []int32{18}}, {"aes128-sha2", []int32{19}},
		{"aes", []int32{18, 17, 20, 19}}, {"rc4", []int32{23}}, {"arcfour-hmac-md5", []int32{23}}, {"des3", nil},
	} {
		if got := EtypesNamed(tt.word); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.word, got, tt.want)
		}
	}
}

func TestErrorName(t *testing.T) {
	for _, tt := range []struct {
		code         int32
		symbol, word string
	}{
		{24, "KDC_ERR_PREAUTH_FAILED", "Pre-authentication information was invalid"},
		{37, "KRB_AP_ERR_SKEW", "Clock skew too great"},
		{9999, "code 9999", "an error this program does not know"},
	} {
		if symbol, words := ErrorName(tt.code); symbol != tt.symbol || words != tt.word {
			t.Errorf("%d: got %q, %q, want %q, %q", tt.code, symbol, words, tt.symbol, tt.word)
		}
	}
}

// messages are one of each kind, with every optional field once.
func messages(t testing.TB) [][]byte {
	t.Helper()
	now := Time(time.Unix(1795388490, 0))
	name, enc := ParseName(NTSrvInst, "HTTP/localhost"), EncryptedData{AES256SHA1, 2, []byte("cipher")}
	data := []TypedData{{1, []byte("data")}}
	key := Key{AES128SHA1, make([]byte, 16)}
	body, err := Encode(KDCReqBody{Options: NewFlags(OptCanonicalize), CName: name, Realm: "R", Server: name, Till: now, Nonce: 1, Etypes: Etypes(), Addresses: data})
	if err != nil {
		t.Fatal(err)
	}
	ticket := &Ticket{Version, "R", name, enc}
	raw, err := ticket.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	rep := EncKDCRep{Key: key, LastReqs: []LastReq{{0, now}}, Nonce: 1, Flags: NewFlags(), AuthTime: now, StartTime: now, EndTime: now, RenewTill: now, Realm: "R", Server: name, Addresses: data, PAData: []PAData{{1, []byte("x")}}}
	var all [][]byte
	for _, marshal := range []func() ([]byte, error){
		(&KDCReq{Type: TypeASReq, PAData: []PAData{{PAEncTimestamp, []byte("x")}}, RawBody: body}).Marshal,
		(&KDCReq{Type: TypeTGSReq, RawBody: body}).Marshal,
		(&KDCRep{Type: TypeASRep, CRealm: "R", CName: name, Ticket: raw, Enc: enc}).Marshal,
		(&KDCRep{Type: TypeTGSRep, PAData: []PAData{{1, []byte("x")}}, CRealm: "R", CName: name, Ticket: raw, Enc: enc}).Marshal,
		func() ([]byte, error) { return rep.Marshal(TypeASRep) },
		func() ([]byte, error) { return rep.Marshal(TypeTGSRep) },
		ticket.Marshal,
		(&EncTicket{NewFlags(FlagInitial), key, "R", name, TypedData{}, now, now, now, now, data, data}).Marshal,
		(&Authenticator{Version, "R", name, Checksum{ChecksumGSS, []byte("sum")}, 1, now, key, 1, data}).Marshal,
		(&APReq{NewFlags(OptMutualRequired), raw, enc}).Marshal,
		(&APRep{Version, TypeAPRep, enc}).Marshal,
		(&EncAPRep{now, 1, key, 1}).Marshal,
		(&Error{Version, TypeError, now, 1, now, 1, ErrPreauthRequired, "R", name, "R", name, "text", []byte("data")}).Marshal,
	} {
		b, err := marshal()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// parseAny runs the parser for a message's tag and returns the message, nil when it is none.
func parseAny(b []byte) (m interface{ Marshal() ([]byte, error) }, err error) {
	switch Kind(b) {
	case TypeASReq, TypeTGSReq:
		m, err = ParseKDCReq(b)
	case TypeASRep, TypeTGSRep:
		m, err = ParseKDCRep(b, Kind(b))
	case tagTicket:
		m, err = ParseTicket(b)
	case tagEncTicket:
		m, err = ParseEncTicket(b)
	case tagAuthenticator:
		m, err = ParseAuthenticator(b)
	case TypeAPReq:
		m, err = ParseAPReq(b)
	case TypeAPRep:
		m, err = ParseAPRep(b)
	case tagEncAPRep:
		m, err = ParseEncAPRep(b)
	case TypeError:
		m, err = ParseError(b)
	default:
		_, err = ParseEncKDCRep(b)
		return nil, err
	}
	return m, err
}

// TestMessagesRoundTrip reads each message and writes the same bytes again.
func TestMessagesRoundTrip(t *testing.T) {
	for _, b := range messages(t) {
		m, err := parseAny(b)
		if err != nil {
			t.Errorf("message %d: %v", Kind(b), err)
			continue
		}
		if m == nil {
			continue // EncKDCRep has two tags; parsing it is enough
		}
		if again, err := m.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("message %d: written again %x, %v, want %x", Kind(b), again, err, b)
		}
	}
}

func FuzzMessages(f *testing.F) {
	for _, b := range messages(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseAny(b)
		if err != nil || m == nil {
			return
		}
		if _, err := m.Marshal(); err != nil {
			t.Errorf("message %d reads, but does not write: %v", Kind(b), err)
		}
	})
}

// FuzzDecrypt gives hostile ciphertext to every type.
func FuzzDecrypt(f *testing.F) {
	f.Add(int32(18), make([]byte, 28))
	f.Add(int32(20), make([]byte, 41))
	f.Add(int32(23), make([]byte, 24))
	f.Add(int32(17), []byte{})
	f.Fuzz(func(t *testing.T, etype int32, cipher []byte) {
		key, err := NewKey(etype)
		if err != nil {
			return
		}
		if _, err := Decrypt(key, UsageTicket, EncryptedData{Etype: etype, Cipher: cipher}); err == nil {
			t.Errorf("%x opens with a random key", cipher)
		}
	})
}
