package diagnosis_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// Run leaves the caller's dialer as it was, and nothing running behind.
func TestRun(t *testing.T) {
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, p := range l.Proxies {
		if p.Scheme != lab.SchemeNTLM || !p.TLS {
			continue
		}
		d := &proxyconnect.Dialer{Proxy: p.URL, TLS: l.ClientTLS}
		spec := credentials.Spec{Auth: "ntlm", User: l.User.Name, Password: credentials.Secret(l.User.Password)}
		if err := spec.Apply(d); err != nil {
			t.Fatal(err)
		}
		turn := diagnosis.TURN{Address: l.TURN.TLS, Secure: true, TLS: l.ClientTLS, User: l.TURN.User.Name, Password: credentials.Secret(l.TURN.User.Password)}
		check := diagnosis.Check{Dialer: d, TURN: turn, Pings: 3}
		r := check.Run(t.Context())
		if !r.Through() || r.Media.Sent != 3 || r.ProxyTLS == nil || r.TunnelTLS == nil || len(r.Attempts) != 1 || r.Attempts[0].Outcome != diagnosis.Accepted {
			t.Errorf("got %+v, want a path that works", r)
		}
		if n := r.Attempts[0].NTLM; n == nil || n.Domain != "LAB" || n.Challenges != 1 {
			t.Errorf("challenge %+v, want one of domain LAB", n)
		}
		if d.Budget != nil || d.Timeout != 0 || len(d.Mechanisms) != 1 {
			t.Errorf("the dialer was changed: %+v", d)
		}
	}
}

// A proxy that never answers costs one stage's deadline, and the report says which.
func TestRunSilence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				io.Copy(io.Discard, conn)
			})
		}
	})
	defer wg.Wait()
	defer listener.Close()

	const timeout = 100 * time.Millisecond
	check := diagnosis.Check{
		Dialer:  &proxyconnect.Dialer{Proxy: "http://" + listener.Addr().String()},
		TURN:    diagnosis.TURN{Address: listener.Addr().String()},
		Timeout: timeout,
	}
	start := time.Now()
	r := check.Run(t.Context())
	if failure, _ := r.Failure(); failure.Name != diagnosis.StageConnect || failure.Kind != diagnosis.KindTimeout || r.Interrupted {
		t.Errorf("got %+v, want a time-out of CONNECT", failure)
	}
	if took := time.Since(start); took > 20*timeout {
		t.Errorf("it took %v with a deadline of %v per stage", took, timeout)
	}
	if r.Direct == nil || r.Direct.Reached != "TCP" {
		t.Errorf("beside: %+v, want a connection and no answer", r.Direct)
	}
}

// The end of the context ends the run at once, and it is no failure of the path.
func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	check := diagnosis.Check{
		Dialer: &proxyconnect.Dialer{Proxy: "http://127.0.0.1:1", DialProxy: func(ctx context.Context, _, _ string) (net.Conn, error) {
			cancel(errors.New("the user has gone"))
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		TURN: diagnosis.TURN{Address: "turn.corp:443"},
	}
	r := check.Run(ctx)
	if !r.Interrupted || r.Direct != nil || len(diagnosis.Explain(r)) > 0 {
		t.Errorf("got %+v, want an interrupted run without findings", r)
	}
}
