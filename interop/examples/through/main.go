// Command through reaches a TURN server through an authenticating proxy and prints the address that
// the server sees: the proxy's.
//
//	PASSWORD=... through http://proxy.corp.example:8080 alice turn.example.com:3478
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: PASSWORD=... through proxy-url user turn-host:port")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Getenv("PASSWORD"), os.Args[3], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, proxy, user, password, server string, out io.Writer) error {
	account := &ntlm.Client{User: user, Password: password}
	through := &proxyconnect.Dialer{
		Proxy: proxy,
		Mechanisms: []proxyconnect.Mechanism{
			{
				Scheme:     "NTLM",
				Credential: proxyconnect.PasswordCredential(user),
				Begin: func(_ context.Context, r proxyconnect.Request) (proxyconnect.Exchange, error) {
					return account.Begin(r.ProxyHost, r.TLSServerEndPoint())
				},
			},
			proxyconnect.Digest(user, password),
		},
	}
	conn, err := through.DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	client := turntcp.NewClient(conn, turntcp.ClientConfig{})
	defer client.Close()
	mapped, err := client.Binding(ctx)
	if err != nil {
		return fmt.Errorf("binding: %w", err)
	}
	fmt.Fprintf(out, "%s sees us as %v\n", server, mapped)
	return nil
}
