// Package krb5 is what the Kerberos client, its acceptor and its KDC share: the messages of RFC 4120,
// encryption, and the files that hold keys and tickets.
//
// The messages and the file formats are our own; the cryptography is gokrb5's. Only crypto.go and
// codes.go import it, so that another library is a change to two files. Nothing here does I/O.
//
// Every function that takes bytes from outside returns an error for any input: lengths are checked
// before the library sees them, and a panic inside it becomes an error.
package krb5
