package krb5

import (
	"errors"
	"fmt"

	"github.com/jcmturner/gofork/encoding/asn1"
)

// Encode returns the DER of a part that has no application tag (PAData and the like).
func Encode(v any) ([]byte, error) { return asn1.Marshal(v) }

// Decode reads a part that has no application tag.
func Decode(b []byte, v any) error {
	return guard(func() error { _, err := asn1.Unmarshal(b, v); return err })
}

func encodeTagged(tag int, v any) ([]byte, error) {
	b, err := asn1.Marshal(v)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, Tag: tag, IsCompound: true, Bytes: b})
}

func decodeTagged(b []byte, tag int, v any) error {
	return guard(func() error {
		_, err := asn1.UnmarshalWithParams(b, v, fmt.Sprintf("application,explicit,tag:%d", tag))
		return err
	})
}

// raw is an element under an explicit context tag. It keeps the bytes of a ticket as they came:
// re-encoding them would be a chance to break them.
func raw(tag int, b []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: b}
}

// Kind returns the application tag of a message, which is its type, or -1.
func Kind(b []byte) int {
	if len(b) == 0 || b[0]&0xe0 != 0x60 {
		return -1
	}
	return int(b[0] & 0x1f)
}

// A KDCReq is an AS-REQ or TGS-REQ (RFC 4120 section 5.4.1).
type KDCReq struct {
	Type    int
	PAData  []PAData
	Body    KDCReqBody
	RawBody []byte // Body as it came or as it will go: what the checksum of a TGS-REQ covers
}

type kdcReq struct {
	Version int           `asn1:"explicit,tag:1"`
	Type    int           `asn1:"explicit,tag:2"`
	PAData  []PAData      `asn1:"explicit,optional,tag:3"`
	Body    asn1.RawValue `asn1:"explicit,tag:4"`
}

// Marshal encodes the request around RawBody.
func (r *KDCReq) Marshal() ([]byte, error) {
	return encodeTagged(r.Type, kdcReq{Version, r.Type, r.PAData, raw(4, r.RawBody)})
}

// ParseKDCReq reads a request of either type.
func ParseKDCReq(b []byte) (*KDCReq, error) {
	kind := Kind(b)
	if kind != TypeASReq && kind != TypeTGSReq {
		return nil, errors.New("neither AS-REQ nor TGS-REQ")
	}
	var m kdcReq
	if err := decodeTagged(b, kind, &m); err != nil {
		return nil, err
	}
	if err := checkType(m.Type, kind); err != nil {
		return nil, err
	}
	r := &KDCReq{Type: kind, PAData: m.PAData, RawBody: m.Body.Bytes}
	return r, Decode(m.Body.Bytes, &r.Body)
}

// A KDCRep is an AS-REP or TGS-REP (RFC 4120 section 5.4.2).
type KDCRep struct {
	Type   int
	PAData []PAData
	CRealm string
	CName  Name
	Ticket []byte
	Enc    EncryptedData
}

type kdcRep struct {
	Version int           `asn1:"explicit,tag:0"`
	Type    int           `asn1:"explicit,tag:1"`
	PAData  []PAData      `asn1:"explicit,optional,tag:2"`
	CRealm  string        `asn1:"generalstring,explicit,tag:3"`
	CName   Name          `asn1:"explicit,tag:4"`
	Ticket  asn1.RawValue `asn1:"explicit,tag:5"`
	Enc     EncryptedData `asn1:"explicit,tag:6"`
}

// Marshal encodes the reply.
func (r *KDCRep) Marshal() ([]byte, error) {
	return encodeTagged(r.Type, kdcRep{Version, r.Type, r.PAData, r.CRealm, r.CName, raw(5, r.Ticket), r.Enc})
}

// ParseKDCRep reads a reply of the given type.
func ParseKDCRep(b []byte, kind int) (*KDCRep, error) {
	var m kdcRep
	if err := decodeTagged(b, kind, &m); err != nil {
		return nil, err
	}
	if err := checkType(m.Type, kind); err != nil {
		return nil, err
	}
	return &KDCRep{kind, m.PAData, m.CRealm, m.CName, m.Ticket.Bytes, m.Enc}, nil
}

// Marshal encodes the encrypted part of a reply of the given type.
func (e *EncKDCRep) Marshal(kind int) ([]byte, error) {
	if kind == TypeTGSRep {
		return encodeTagged(tagEncTGSRep, *e)
	}
	return encodeTagged(tagEncASRep, *e)
}

// ParseEncKDCRep reads the decrypted part of a reply. Some KDCs use the tag of TGS-REP for both
// (RFC 4120 section 5.4.2).
func ParseEncKDCRep(b []byte) (*EncKDCRep, error) {
	e := &EncKDCRep{}
	if Kind(b) == tagEncTGSRep {
		return e, decodeTagged(b, tagEncTGSRep, e)
	}
	return e, decodeTagged(b, tagEncASRep, e)
}

// Marshal encodes the ticket.
func (t *Ticket) Marshal() ([]byte, error) { return encodeTagged(tagTicket, *t) }

// ParseTicket reads a ticket.
func ParseTicket(b []byte) (*Ticket, error) {
	t := &Ticket{}
	return t, decodeTagged(b, tagTicket, t)
}

// Marshal encodes the part of a ticket that is then encrypted.
func (t *EncTicket) Marshal() ([]byte, error) { return encodeTagged(tagEncTicket, *t) }

// ParseEncTicket reads the decrypted part of a ticket.
func ParseEncTicket(b []byte) (*EncTicket, error) {
	t := &EncTicket{}
	return t, decodeTagged(b, tagEncTicket, t)
}

// Marshal encodes the authenticator.
func (a *Authenticator) Marshal() ([]byte, error) { return encodeTagged(tagAuthenticator, *a) }

// ParseAuthenticator reads a decrypted authenticator.
func ParseAuthenticator(b []byte) (*Authenticator, error) {
	a := &Authenticator{}
	return a, decodeTagged(b, tagAuthenticator, a)
}

// An APReq is RFC 4120 section 5.5.1.
type APReq struct {
	Options       Flags
	Ticket        []byte
	Authenticator EncryptedData
}

type apReq struct {
	Version       int           `asn1:"explicit,tag:0"`
	Type          int           `asn1:"explicit,tag:1"`
	Options       Flags         `asn1:"explicit,tag:2"`
	Ticket        asn1.RawValue `asn1:"explicit,tag:3"`
	Authenticator EncryptedData `asn1:"explicit,tag:4"`
}

// Marshal encodes the request.
func (r *APReq) Marshal() ([]byte, error) {
	return encodeTagged(TypeAPReq, apReq{Version, TypeAPReq, r.Options, raw(3, r.Ticket), r.Authenticator})
}

// ParseAPReq reads a request.
func ParseAPReq(b []byte) (*APReq, error) {
	var m apReq
	if err := decodeTagged(b, TypeAPReq, &m); err != nil {
		return nil, err
	}
	if err := checkType(m.Type, TypeAPReq); err != nil {
		return nil, err
	}
	return &APReq{m.Options, m.Ticket.Bytes, m.Authenticator}, nil
}

// Marshal encodes the reply.
func (r *APRep) Marshal() ([]byte, error) { return encodeTagged(TypeAPRep, *r) }

// ParseAPRep reads a reply.
func ParseAPRep(b []byte) (*APRep, error) {
	r := &APRep{}
	if err := decodeTagged(b, TypeAPRep, r); err != nil {
		return nil, err
	}
	return r, checkType(r.Type, TypeAPRep)
}

// Marshal encodes the part of an AP-REP that is then encrypted.
func (e *EncAPRep) Marshal() ([]byte, error) { return encodeTagged(tagEncAPRep, *e) }

// ParseEncAPRep reads the decrypted part of an AP-REP.
func ParseEncAPRep(b []byte) (*EncAPRep, error) {
	e := &EncAPRep{}
	return e, decodeTagged(b, tagEncAPRep, e)
}

// Marshal encodes the error.
func (e *Error) Marshal() ([]byte, error) { return encodeTagged(TypeError, *e) }

// ParseError reads a KRB-ERROR.
func ParseError(b []byte) (*Error, error) {
	e := &Error{}
	if err := decodeTagged(b, TypeError, e); err != nil {
		return nil, err
	}
	return e, checkType(e.Type, TypeError)
}
