package matrix

// hints are the next action for each way to fail, for the person at the command line.
var hints = map[string]string{
	codeRejected:      "check user, domain and password at another program before you try again: the account may be locked after a few attempts",
	codeBudget:        "mend the credential that was rejected first; nothing was sent with it since",
	codeNoCredential:  "get a ticket (kinit; look with klist), or give a user and a password; the message says what each mechanism lacked",
	codeNoScheme:      "name a mechanism for what the proxy offers, or have the proxy offer one of yours",
	codeRefused:       "have the proxy's rules allow CONNECT to this host and port; many allow port 443 only",
	codeNotKept:       "have the proxy, or the balancer before it, keep connections between the legs of NTLM and Kerberos",
	codeEndless:       "look into the proxy's log: it takes the credentials and asks again",
	codeClosed:        "look into the proxy's log at this time: it closed the connection without a word",
	codeTimeout:       "see at which stage it waited: the proxy, its authentication helper, the KDC, or the target behind it",
	codeUnreachable:   "check host and port, and whether this machine may connect there",
	codeTLS:           "check that the URL's https:// is right, and trust the proxy's certificate authority (--proxy-ca, or ca in a plan)",
	codeCleartext:     "use an https proxy; or accept that the password can be read on the way: --auth basic, or --allow-basic-over-http",
	codeProxy:         "look at what the proxy answered; is it an HTTP proxy at all?",
	codeTunnelTLS:     "look who issued the certificate: a proxy that intercepts TLS must exempt the TURN server",
	codeTURN:          "look into the TURN server's log; the proxy has let us through",
	codeTURNUser:      "check the TURN server's user and password; the proxy has let us through",
	codeTunnelClosed:  "look for inspection at the proxy that expects TLS or HTTP in the tunnel, and for its limits on tunnels",
	codeConfiguration: "mend what the message names; nothing was sent",
}

// Hint returns what to do next about an error of a dial or of a cell, "" for none.
func Hint(err error) string { return hints[classify(err)] }
