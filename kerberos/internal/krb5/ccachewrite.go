package krb5

import (
	"encoding/binary"
	"time"
)

// Marshal writes the cache as a file of version 4, without header fields.
func (c *CCache) Marshal() []byte {
	b := []byte{5, 4, 0, 0}
	b = appendPrincipal(b, c.Client, c.Realm)
	for i := range c.Creds {
		b = appendCredential(b, &c.Creds[i])
	}
	return b
}

func appendPrincipal(b []byte, n Name, realm string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(n.Type))
	b = binary.BigEndian.AppendUint32(b, uint32(len(n.Parts)))
	b = appendData(b, []byte(realm))
	for _, part := range n.Parts {
		b = appendData(b, []byte(part))
	}
	return b
}

func appendCredential(b []byte, c *Credential) []byte {
	b = appendPrincipal(b, c.Client, c.ClientRealm)
	b = appendPrincipal(b, c.Server, c.ServerRealm)
	b = binary.BigEndian.AppendUint16(b, uint16(c.Key.Etype))
	b = appendData(b, c.Key.Value)
	for _, t := range []time.Time{c.Start, c.Start, c.End, c.RenewEnd} { // the first is the time of login
		seconds := uint32(0)
		if !t.IsZero() {
			seconds = uint32(t.Unix())
		}
		b = binary.BigEndian.AppendUint32(b, seconds)
	}
	b = append(b, 0) // is_skey
	b = binary.BigEndian.AppendUint32(b, c.Flags)
	b = append(b, make([]byte, 8)...) // no addresses, no authorization data
	b = appendData(b, c.Ticket)
	return appendData(b, nil) // no second ticket
}

func appendData(b, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...)
}
