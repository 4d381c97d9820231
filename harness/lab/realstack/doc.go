// Package realstack runs proxies and password verifiers that we did not write, as they are in the
// field: Squid with its helpers, Samba's winbindd, MIT's Kerberos server, Apache, tinyproxy, coturn.
//
//	stack, err := realstack.Start(ctx, realstack.Config{
//		Users: []realstack.User{{Name: "alice", Password: password}},
//	})
//	if err != nil { ... }
//	defer stack.Close()
//	for _, p := range stack.Proxies() { dial(p.URL); p.AwaitTunnel(ctx, 0, "alice", target) }
//
// Everything lives in one private directory, listens on 127.0.0.1 only, needs no privilege and no
// file of the system; started by root it runs as nobody. Close, and the death of the calling
// process by whatever cause, end all of it and remove every trace.
//
// It installs nothing (see [Missing]), is not a model of how to configure these programs for
// production, and runs on Linux only.
package realstack
