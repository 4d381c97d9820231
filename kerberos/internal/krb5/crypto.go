package krb5

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
)

// The encryption types that are spoken (RFC 3962, 8009, 4757).
const (
	AES128SHA1 int32 = 17
	AES256SHA1 int32 = 18
	AES128SHA2 int32 = 19
	AES256SHA2 int32 = 20
	RC4        int32 = 23
)

// Etypes are all encryption types that are spoken, in the order of preference of MIT's library,
// which asks for the most widely deployed strong type first and for RC4 last.
func Etypes() []int32 { return []int32{AES256SHA1, AES128SHA1, AES256SHA2, AES128SHA2, RC4} }

// A suite is what the library does not tell, or tells wrongly: it says that a key of type 20 has 24
// bytes (its integrity keys have), where RFC 8009 section 5 wants 32.
type suite struct {
	name     string
	aliases  []string
	family   string // MIT's name for a group in permitted_enctypes
	keySize  int
	overhead int // confounder and checksum: no ciphertext is shorter
}

var suites = map[int32]suite{
	AES128SHA1: {"aes128-cts-hmac-sha1-96", []string{"aes128-cts", "aes128-sha1"}, "aes", 16, 16 + 12},
	AES256SHA1: {"aes256-cts-hmac-sha1-96", []string{"aes256-cts", "aes256-sha1"}, "aes", 32, 16 + 12},
	AES128SHA2: {"aes128-cts-hmac-sha256-128", []string{"aes128-sha2"}, "aes", 16, 16 + 16},
	AES256SHA2: {"aes256-cts-hmac-sha384-192", []string{"aes256-sha2"}, "aes", 32, 16 + 24},
	RC4:        {"arcfour-hmac", []string{"rc4-hmac", "arcfour-hmac-md5"}, "rc4", 16, 8 + 16},
}

// EtypeName is the name that krb5.conf and klist use, or "etype N".
func EtypeName(id int32) string {
	if s, ok := suites[id]; ok {
		return s.name
	}
	return fmt.Sprintf("etype %d", id)
}

// EtypesNamed returns the types that a word of permitted_enctypes stands for: a name, an alias or a
// family ("aes"). It is empty for types that are not spoken.
func EtypesNamed(word string) []int32 {
	var ids []int32
	for _, id := range Etypes() {
		s := suites[id]
		word := strings.ToLower(word)
		if word == s.name || word == s.family || slices.Contains(s.aliases, word) {
			ids = append(ids, id)
		}
	}
	return ids
}

// A Key is an EncryptionKey (RFC 4120 section 5.2.9). It never shows its value.
type Key struct {
	Etype int32  `asn1:"explicit,tag:0"`
	Value []byte `asn1:"explicit,tag:1"`
}

// String names the type only.
func (k Key) String() string { return EtypeName(k.Etype) + " key" }

// GoString names the type only.
func (k Key) GoString() string { return k.String() }

// NewKey returns a random key.
func NewKey(id int32) (Key, error) {
	s, ok := suites[id]
	if !ok {
		return Key{}, fmt.Errorf("encryption type %d is not supported", id)
	}
	k := Key{Etype: id, Value: make([]byte, s.keySize)}
	rand.Read(k.Value) // never fails (crypto/rand)
	return k, nil
}

// maxIterations bounds the work that an unauthenticated KDC can ask for: defaults are 4096 and
// 32768, and a count of 0 stands for 2^32 (RFC 3962 section 4).
const maxIterations = 1 << 20

// StringToKey makes the key of a password. params is the s2kparams of ETYPE-INFO2, nil for the
// type's default.
func StringToKey(id int32, password, salt string, params []byte) (Key, error) {
	e, err := lookup(id)
	if err != nil {
		return Key{}, err
	}
	s2k := e.GetDefaultStringToKeyParams()
	if len(params) > 0 && id != RC4 {
		if len(params) != 4 {
			return Key{}, fmt.Errorf("string-to-key parameters of %d bytes, want 4", len(params))
		}
		if n := binary.BigEndian.Uint32(params); n == 0 || n > maxIterations {
			return Key{}, fmt.Errorf("string-to-key iteration count %d is refused (at most %d)", n, maxIterations)
		}
		s2k = hex.EncodeToString(params)
	}
	var value []byte
	err = guard(func() (err error) { value, err = e.StringToKey(password, salt, s2k); return err })
	if err != nil {
		return Key{}, fmt.Errorf("making a key from the password: %w", err)
	}
	return Key{id, value}, nil
}

// Encrypt encrypts for a key usage number (RFC 4120 section 7.5.1).
func Encrypt(k Key, usage uint32, plain []byte) (EncryptedData, error) {
	e, err := k.suite()
	if err != nil {
		return EncryptedData{}, err
	}
	d := EncryptedData{Etype: k.Etype}
	err = guard(func() (err error) { _, d.Cipher, err = e.EncryptMessage(k.Value, plain, usage); return err })
	return d, err
}

// Decrypt decrypts and checks integrity. The key must be of the type of the data.
func Decrypt(k Key, usage uint32, d EncryptedData) ([]byte, error) {
	e, err := k.suite()
	switch {
	case err != nil:
		return nil, err
	case d.Etype != k.Etype:
		return nil, fmt.Errorf("encrypted with %s, the key is for %s", EtypeName(d.Etype), EtypeName(k.Etype))
	case len(d.Cipher) < suites[k.Etype].overhead:
		return nil, fmt.Errorf("encrypted part of %d bytes is too short", len(d.Cipher))
	}
	var plain []byte
	err = guard(func() (err error) { plain, err = e.DecryptMessage(k.Value, d.Cipher, usage); return err })
	if err != nil {
		return nil, err
	}
	return plain, nil
}

// Sum returns the keyed checksum of the key's type over data.
func Sum(k Key, usage uint32, data []byte) (Checksum, error) {
	e, err := k.suite()
	if err != nil {
		return Checksum{}, err
	}
	c := Checksum{Type: e.GetHashID()}
	err = guard(func() (err error) { c.Sum, err = e.GetChecksumHash(k.Value, data, usage); return err })
	return c, err
}

// VerifySum tells whether c is the checksum of the key's type over data.
func VerifySum(k Key, usage uint32, data []byte, c Checksum) bool {
	e, err := k.suite()
	if err != nil || c.Type != e.GetHashID() {
		return false
	}
	ok := false
	err = guard(func() error { ok = e.VerifyChecksum(k.Value, data, c.Sum, usage); return nil })
	return ok && err == nil
}

func (k Key) suite() (etype.EType, error) {
	e, err := lookup(k.Etype)
	if err != nil {
		return nil, err
	}
	if want := suites[k.Etype].keySize; len(k.Value) != want {
		return nil, fmt.Errorf("%s of %d bytes, want %d", k, len(k.Value), want)
	}
	return e, nil
}

func lookup(id int32) (etype.EType, error) {
	if _, ok := suites[id]; !ok {
		return nil, fmt.Errorf("encryption type %d is not supported", id)
	}
	return crypto.GetEtype(id)
}

// guard turns a panic of the library into an error: it slices hostile bytes without looking.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	return f()
}
