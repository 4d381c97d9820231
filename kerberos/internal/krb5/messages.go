package krb5

import (
	"fmt"
	"strings"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1" // knows GeneralString, which encoding/asn1 does not
)

// Version is the protocol version number of every message.
const Version = 5

// Message types, which are also application tags (RFC 4120 section 5.10).
const (
	TypeASReq  = 10
	TypeASRep  = 11
	TypeTGSReq = 12
	TypeTGSRep = 13
	TypeAPReq  = 14
	TypeAPRep  = 15
	TypeError  = 30
)

// Application tags of parts of messages.
const (
	tagTicket        = 1
	tagAuthenticator = 2
	tagEncTicket     = 3
	tagEncASRep      = 25
	tagEncTGSRep     = 26
	tagEncAPRep      = 27
)

// Key usage numbers (RFC 4120 section 7.5.1).
const (
	UsagePreauthTimestamp       = 1
	UsageTicket                 = 2
	UsageASRep                  = 3
	UsageTGSChecksum            = 6
	UsageTGSAuthenticator       = 7
	UsageTGSRep                 = 8
	UsageTGSRepSubkey           = 9
	UsageAPAuthenticator        = 11
	UsageAPRep                  = 12
	ChecksumGSS           int32 = 0x8003 // RFC 4121 section 4.1.1
)

// Pre-authentication data types (RFC 4120 section 7.5.2, RFC 6113).
const (
	PATGSReq       int32 = 1
	PAEncTimestamp int32 = 2
	PAEtypeInfo2   int32 = 19
	PAFXCookie     int32 = 133
)

// Bits of KDCOptions, ticket flags and AP options.
const (
	OptCanonicalize   = 15 // RFC 6806 section 3
	OptMutualRequired = 2
	FlagInvalid       = 7
	FlagInitial       = 9
	FlagPreauthent    = 10
)

// Flags is a KerberosFlags (RFC 4120 section 5.2.8).
type Flags = asn1.BitString

// NewFlags returns 32 flags with the given bits set.
func NewFlags(bits ...int) Flags {
	f := Flags{Bytes: make([]byte, 4), BitLength: 32}
	for _, bit := range bits {
		f.Bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	return f
}

// A Name is a PrincipalName (RFC 4120 section 5.2.2): a principal without its realm.
type Name struct {
	Type  int32    `asn1:"explicit,tag:0"`
	Parts []string `asn1:"generalstring,explicit,tag:1"`
}

// Name types (RFC 4120 section 6.2).
const (
	NTPrincipal int32 = 1
	NTSrvInst   int32 = 2
)

// ParseName splits "HTTP/host" into its parts.
func ParseName(kind int32, s string) Name { return Name{kind, strings.Split(s, "/")} }

// TGS is the name of the ticket granting service for a realm.
func TGS(realm string) Name { return Name{NTSrvInst, []string{"krbtgt", realm}} }

func (n Name) String() string { return strings.Join(n.Parts, "/") }

// Equal compares without the type, which is only a hint (RFC 4120 section 6.2).
func (n Name) Equal(m Name) bool {
	if len(n.Parts) != len(m.Parts) {
		return false
	}
	for i := range n.Parts {
		if n.Parts[i] != m.Parts[i] {
			return false
		}
	}
	return true
}

// Salt is the default salt of a principal (RFC 4120 section 4).
func (n Name) Salt(realm string) string { return realm + strings.Join(n.Parts, "") }

// EncryptedData is RFC 4120 section 5.2.9.
type EncryptedData struct {
	Etype  int32  `asn1:"explicit,tag:0"`
	KVNO   int    `asn1:"explicit,optional,tag:1"`
	Cipher []byte `asn1:"explicit,tag:2"`
}

// Checksum is RFC 4120 section 5.2.9.
type Checksum struct {
	Type int32  `asn1:"explicit,tag:0"`
	Sum  []byte `asn1:"explicit,tag:1"`
}

// PAData is RFC 4120 section 5.2.7.
type PAData struct {
	Type  int32  `asn1:"explicit,tag:1"`
	Value []byte `asn1:"explicit,tag:2"`
}

// TypedData is an element of AuthorizationData (RFC 4120 section 5.2.6) and, with the same shape, a
// HostAddress.
type TypedData struct {
	Type int32  `asn1:"explicit,tag:0"`
	Data []byte `asn1:"explicit,tag:1"`
}

// EtypeInfo2Entry is RFC 4120 section 5.2.7.5.
type EtypeInfo2Entry struct {
	Etype  int32  `asn1:"explicit,tag:0"`
	Salt   string `asn1:"explicit,optional,generalstring,tag:1"`
	Params []byte `asn1:"explicit,optional,tag:2"`
}

// EncTimestamp is PA-ENC-TS-ENC (RFC 4120 section 5.2.7.2).
type EncTimestamp struct {
	Time time.Time `asn1:"generalized,explicit,tag:0"`
	Usec int       `asn1:"explicit,optional,tag:1"`
}

// A Ticket is RFC 4120 section 5.3.
type Ticket struct {
	Version int           `asn1:"explicit,tag:0"`
	Realm   string        `asn1:"generalstring,explicit,tag:1"`
	Server  Name          `asn1:"explicit,tag:2"`
	Enc     EncryptedData `asn1:"explicit,tag:3"`
}

// EncTicket is EncTicketPart.
type EncTicket struct {
	Flags     Flags       `asn1:"explicit,tag:0"`
	Key       Key         `asn1:"explicit,tag:1"`
	CRealm    string      `asn1:"generalstring,explicit,tag:2"`
	CName     Name        `asn1:"explicit,tag:3"`
	Transited TypedData   `asn1:"explicit,tag:4"`
	AuthTime  time.Time   `asn1:"generalized,explicit,tag:5"`
	StartTime time.Time   `asn1:"generalized,explicit,optional,tag:6"`
	EndTime   time.Time   `asn1:"generalized,explicit,tag:7"`
	RenewTill time.Time   `asn1:"generalized,explicit,optional,tag:8"`
	Addresses []TypedData `asn1:"explicit,optional,tag:9"`
	AuthData  []TypedData `asn1:"explicit,optional,tag:10"`
}

// An Authenticator is RFC 4120 section 5.5.1.
type Authenticator struct {
	Version  int         `asn1:"explicit,tag:0"`
	CRealm   string      `asn1:"generalstring,explicit,tag:1"`
	CName    Name        `asn1:"explicit,tag:2"`
	Checksum Checksum    `asn1:"explicit,optional,tag:3"`
	Usec     int         `asn1:"explicit,tag:4"`
	Time     time.Time   `asn1:"generalized,explicit,tag:5"`
	Subkey   Key         `asn1:"explicit,optional,tag:6"`
	Seq      int64       `asn1:"explicit,optional,tag:7"`
	AuthData []TypedData `asn1:"explicit,optional,tag:8"`
}

// EncAPRep is EncAPRepPart (RFC 4120 section 5.5.2).
type EncAPRep struct {
	Time   time.Time `asn1:"generalized,explicit,tag:0"`
	Usec   int       `asn1:"explicit,tag:1"`
	Subkey Key       `asn1:"optional,explicit,tag:2"`
	Seq    int64     `asn1:"optional,explicit,tag:3"`
}

// APRep is RFC 4120 section 5.5.2.
type APRep struct {
	Version int           `asn1:"explicit,tag:0"`
	Type    int           `asn1:"explicit,tag:1"`
	Enc     EncryptedData `asn1:"explicit,tag:2"`
}

// Error is KRB-ERROR (RFC 4120 section 5.9.1).
type Error struct {
	Version int       `asn1:"explicit,tag:0"`
	Type    int       `asn1:"explicit,tag:1"`
	CTime   time.Time `asn1:"generalized,optional,explicit,tag:2"`
	CUsec   int       `asn1:"optional,explicit,tag:3"`
	STime   time.Time `asn1:"generalized,explicit,tag:4"`
	SUsec   int       `asn1:"explicit,tag:5"`
	Code    int32     `asn1:"explicit,tag:6"`
	CRealm  string    `asn1:"generalstring,optional,explicit,tag:7"`
	CName   Name      `asn1:"optional,explicit,tag:8"`
	Realm   string    `asn1:"generalstring,explicit,tag:9"`
	Server  Name      `asn1:"explicit,tag:10"`
	Text    string    `asn1:"generalstring,optional,explicit,tag:11"`
	Data    []byte    `asn1:"optional,explicit,tag:12"`
}

// KDCReqBody is RFC 4120 section 5.4.1.
type KDCReqBody struct {
	Options   Flags         `asn1:"explicit,tag:0"`
	CName     Name          `asn1:"explicit,optional,tag:1"`
	Realm     string        `asn1:"generalstring,explicit,tag:2"`
	Server    Name          `asn1:"explicit,optional,tag:3"`
	From      time.Time     `asn1:"generalized,explicit,optional,tag:4"`
	Till      time.Time     `asn1:"generalized,explicit,tag:5"`
	RTime     time.Time     `asn1:"generalized,explicit,optional,tag:6"`
	Nonce     int           `asn1:"explicit,tag:7"`
	Etypes    []int32       `asn1:"explicit,tag:8"`
	Addresses []TypedData   `asn1:"explicit,optional,tag:9"`
	AuthData  EncryptedData `asn1:"explicit,optional,tag:10"`
	Tickets   asn1.RawValue `asn1:"explicit,optional,tag:11"`
}

// LastReq is RFC 4120 section 5.4.2.
type LastReq struct {
	Type  int32     `asn1:"explicit,tag:0"`
	Value time.Time `asn1:"generalized,explicit,tag:1"`
}

// EncKDCRep is EncKDCRepPart (RFC 4120 section 5.4.2).
type EncKDCRep struct {
	Key           Key         `asn1:"explicit,tag:0"`
	LastReqs      []LastReq   `asn1:"explicit,tag:1"`
	Nonce         int         `asn1:"explicit,tag:2"`
	KeyExpiration time.Time   `asn1:"generalized,explicit,optional,tag:3"`
	Flags         Flags       `asn1:"explicit,tag:4"`
	AuthTime      time.Time   `asn1:"generalized,explicit,tag:5"`
	StartTime     time.Time   `asn1:"generalized,explicit,optional,tag:6"`
	EndTime       time.Time   `asn1:"generalized,explicit,tag:7"`
	RenewTill     time.Time   `asn1:"generalized,explicit,optional,tag:8"`
	Realm         string      `asn1:"generalstring,explicit,tag:9"`
	Server        Name        `asn1:"explicit,tag:10"`
	Addresses     []TypedData `asn1:"explicit,optional,tag:11"`
	PAData        []PAData    `asn1:"explicit,optional,tag:12"`
}

// Time is a time as the messages carry it: UTC, whole seconds.
func Time(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Usec is the part of a second that Time cuts off, in microseconds.
func Usec(t time.Time) int { return t.Nanosecond() / 1000 }

// checkType refuses a message that is not what its application tag says.
func checkType(got, want int) error {
	if got != want {
		return fmt.Errorf("message type %d, want %d", got, want)
	}
	return nil
}
