// Package kerberostest has what a test of Kerberos through a proxy needs, without root and without
// any other program: a small KDC and the acceptor of a proxy, which verifies for real.
//
//	kdc := &kerberostest.KDC{Realm: "EXAMPLE.TEST"}
//	kdc.AddUser("alice", "secret")
//	kdc.AddService("HTTP/localhost")
//	err := kdc.Start() // kdc.Config() is a krb5.conf for it, kdc.Keytab("HTTP/localhost") a keytab
//
// Real clients (kinit, kvno, curl) work with the KDC, and real verifiers (Squid's helper) take its
// tickets. It is no KDC for anything else: it keeps no database, renews and forwards nothing, and
// anyone who reaches it may ask.
package kerberostest
