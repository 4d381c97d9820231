package library

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// advice says what to do about a dial that failed.
func advice(err error) string {
	var e *proxyconnect.ConnectError
	switch {
	case !errors.As(err, &e):
		return "this is no error of proxyconnect"
	case errors.Is(err, proxyconnect.ErrRejected), errors.Is(err, proxyconnect.ErrBudgetSpent):
		return "ask for another password; this one might lock the account"
	case errors.Is(err, proxyconnect.ErrNoCommonScheme):
		return "give a mechanism for what the proxy offers: " + strings.Join(e.Offered, ", ")
	case errors.Is(err, proxyconnect.ErrCleartext):
		return "use an https proxy, or set AllowBasicOverHTTP"
	case errors.Is(err, proxyconnect.ErrNoCredential):
		return "get a ticket with kinit, or give a password"
	case errors.Is(err, proxyconnect.ErrRefused):
		return fmt.Sprintf("have the proxy's admin allow %s (it said %d)", e.Target, e.Status)
	case e.Timeout():
		return fmt.Sprintf("somebody is silent at this stage: %s", e.Stage)
	case e.Stage == proxyconnect.StageDial, e.Stage == proxyconnect.StageTLS:
		return "check the proxy's address: " + e.Proxy
	}
	return "show the proxy's admin this: " + err.Error()
}

func Example_error() {
	ctx, cancel := seconds(20)
	defer cancel()
	user, password := corp.User.Name, corp.User.Password
	refused := net.JoinHostPort("turn.example.com", fmt.Sprint(corp.RefusedPort))
	for _, c := range []struct {
		scheme   string
		password string
		target   string
	}{
		{lab.SchemeDigest, "wrong", corp.TURN.TCP},
		{lab.SchemeBasic, password, corp.TURN.TCP},
		{lab.SchemeNTLM, password, corp.TURN.TCP},
		{lab.SchemeDigest, password, refused},
	} {
		_, err := dialWithPassword(ctx, proxyURL(c.scheme), nil, user, c.password, c.target)
		fmt.Println(advice(err))
	}
	// Output:
	// ask for another password; this one might lock the account
	// use an https proxy, or set AllowBasicOverHTTP
	// give a mechanism for what the proxy offers: NTLM
	// have the proxy's admin allow turn.example.com:9 (it said 403)
}
