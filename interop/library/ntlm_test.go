package library

import (
	"context"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/proxyconnect"
)

// ntlmMechanism answers a proxy's NTLM, under the scheme "NTLM" or "Negotiate".
func ntlmMechanism(scheme, user, password string) proxyconnect.Mechanism {
	client := &ntlm.Client{User: user, Password: password, SPNEGO: scheme == "Negotiate"}
	return proxyconnect.Mechanism{
		Scheme:     scheme,
		Name:       "NTLM under " + scheme,
		Credential: proxyconnect.PasswordCredential(user), // one rejection ends all mechanisms with this password
		Begin: func(_ context.Context, r proxyconnect.Request) (proxyconnect.Exchange, error) {
			return client.Begin(r.ProxyHost, r.TLSServerEndPoint())
		},
	}
}

func Example_ntlm() {
	ctx, cancel := seconds(20)
	defer cancel()
	user, password := `LAB\`+corp.User.Name, corp.User.Password
	for _, proxy := range []string{proxyURL(lab.SchemeNTLM), secureProxyURL(lab.SchemeNegoNTLM)} {
		d := &proxyconnect.Dialer{Proxy: proxy, TLS: corp.ClientTLS, Mechanisms: []proxyconnect.Mechanism{
			ntlmMechanism("NTLM", user, password),
			ntlmMechanism("Negotiate", user, password),
		}}
		show(d.DialContext(ctx, "tcp", corp.TURN.TCP))
	}
	// Output:
	// NTLM under NTLM after 3 requests
	// NTLM under Negotiate after 3 requests
}
