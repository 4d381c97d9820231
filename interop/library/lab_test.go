package library

import (
	"log/slog"
	"testing"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

func TestBehindNTLMProxies(t *testing.T) {
	company, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer company.Close()
	account := credentials.Spec{
		Auth:     "ntlm,basic",
		User:     company.User.Name,
		Password: credentials.Secret(company.User.Password),
	}
	for _, p := range company.Proxies {
		if p.Scheme != lab.SchemeNTLM {
			continue
		}
		t.Run(p.URL, func(t *testing.T) {
			d := &proxyconnect.Dialer{Proxy: p.URL, TLS: company.ClientTLS}
			if err := account.Apply(d); err != nil {
				t.Fatal(err)
			}
			conn, err := d.DialContext(t.Context(), "tcp", company.TURN.TCP)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}
