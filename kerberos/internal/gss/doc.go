// Package gss encodes and decodes what surrounds Kerberos' messages on the wire: SPNEGO (RFC 4178),
// the initial token framing of GSS-API (RFC 2743 section 3.1, RFC 4121 section 4.1), and the
// checksum that binds a token to its channel (RFC 4121 section 4.1.1). Nothing here does I/O.
package gss
