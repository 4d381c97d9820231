package library

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// logged returns a context whose dials log what passes between them and the proxy.
func logged(ctx context.Context, log *slog.Logger) context.Context {
	return proxyconnect.WithTrace(ctx, &proxyconnect.Trace{
		ConnectStart: func(mechanism string) {
			log.Info("CONNECT", "with", mechanism) // "" for none
		},
		CredentialsDone: func(mechanism string, err error) {
			if err != nil {
				log.Info("no answer to the challenge", "of", mechanism, "error", err)
			}
		},
		ResponseReceived: func(r proxyconnect.Response) {
			log.Info("answer", "status", r.Status, "offers", r.Offered)
		},
	})
}

func Example_trace() {
	ctx, cancel := seconds(20)
	defer cancel()
	d := &proxyconnect.Dialer{
		Proxy:      proxyURL(lab.SchemeAll),
		Mechanisms: []proxyconnect.Mechanism{ntlmMechanism("NTLM", corp.User.Name, corp.User.Password)},
	}
	conn, err := d.DialContext(logged(ctx, slog.New(withoutTime(os.Stdout))), "tcp", corp.TURN.TCP)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	// Output:
	// level=INFO msg=CONNECT with=""
	// level=INFO msg=answer status=407 offers="[Negotiate NTLM Digest Basic]"
	// level=INFO msg=CONNECT with="NTLM under NTLM"
	// level=INFO msg=answer status=407 offers=[NTLM]
	// level=INFO msg=CONNECT with="NTLM under NTLM"
	// level=INFO msg=answer status=200 offers=[]
}

func withoutTime(f *os.File) slog.Handler {
	return slog.NewTextHandler(f, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}
