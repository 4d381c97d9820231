//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"syscall"

	"github.com/pion/turn/v5"
	"github.com/turngate/turngate/turntcp"
)

// serve is the child process: "serve NAME TCP TLS CERT KEY [PROFILE]", until SIGTERM.
func serve(args []string) error {
	if len(args) < 5 {
		return fmt.Errorf("serve: %d arguments", len(args))
	}
	name, tcp, secure := args[0], args[1], args[2]
	cert, err := tls.LoadX509KeyPair(args[3], args[4])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if len(args) > 5 {
		f, err := os.Create(args[5])
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	switch name {
	case "turngate":
		return serveTurngate(ctx, tcp, secure, config)
	case "pion":
		return servePion(ctx, tcp, secure, config)
	}
	return fmt.Errorf("unknown server %q", name)
}

func serveTurngate(ctx context.Context, tcp, secure string, config *tls.Config) error {
	debug.SetGCPercent(50) // as turngate serve does (its gcPercent)
	ip := netip.MustParseAddrPort(tcp).Addr()
	srv, err := turntcp.NewServer(turntcp.Config{
		Realm:       realm,
		Credentials: turntcp.StaticCredentials(map[string]string{user: password}),
		RelayIP:     ip,
		AllowPeers:  []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())},
		TLS:         config,
	})
	if err != nil {
		return err
	}
	if _, err := srv.ListenTCP(tcp); err != nil {
		return err
	}
	if _, err := srv.ListenTLS(secure); err != nil {
		return err
	}
	<-ctx.Done()
	return srv.Close()
}

// servePion is pion/turn as it comes.
func servePion(ctx context.Context, tcp, secure string, config *tls.Config) error {
	plain, err := net.Listen("tcp", tcp)
	if err != nil {
		return err
	}
	sealed, err := tls.Listen("tcp", secure, config)
	if err != nil {
		return err
	}
	ip := net.IP(netip.MustParseAddrPort(tcp).Addr().AsSlice())
	relays := &turn.RelayAddressGeneratorPortRange{RelayAddress: ip, Address: ip.String(), MinPort: 49152, MaxPort: 65535}
	srv, err := turn.NewServer(turn.ServerConfig{
		Realm: realm,
		AuthHandler: func(ra *turn.RequestAttributes) (string, []byte, bool) {
			return ra.Username, turn.GenerateAuthKey(ra.Username, realm, password), ra.Username == user
		},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: plain, RelayAddressGenerator: relays},
			{Listener: sealed, RelayAddressGenerator: relays},
		},
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return srv.Close()
}
