package realstack

import (
	"context"
	"fmt"
	"strings"
)

// helpers are the programs in which Squid verifies each scheme.
var helpers = map[string][]string{
	"Basic":     {"basic_ncsa_auth", "htpasswd"},
	"Digest":    {"digest_file_auth"},
	"NTLM":      nil, // ntlm_auth comes with winbind
	"Negotiate": {"negotiate_kerberos_auth"},
}

// squidPart is one Squid that offers the schemes, in that order. Several schemes need several
// instances, because a Squid offers all it has on all ports.
func squidPart(name string, after []string, schemes ...string) part {
	files := []string{"squid"}
	for _, scheme := range schemes {
		files = append(files, helpers[scheme]...)
	}
	if len(schemes) > 1 {
		files = append(files, "negotiate_wrapper_auth")
	}
	return part{name, files, after, func(s *Stack, ctx context.Context) error {
		return s.startSquid(ctx, strings.ReplaceAll(name, "/", "-"), schemes)
	}}
}

func (s *Stack) startSquid(ctx context.Context, name string, schemes []string) error {
	if err := s.writeWebUsers(ctx); err != nil {
		return err
	}
	n := 1
	if s.cfg.tls() {
		n = 2
	}
	ports, err := s.serve(ctx, name, n, func(ports []int) (listener, error) {
		return s.squidListener(name, schemes, ports)
	})
	if err != nil {
		return err
	}
	scheme := schemes[0]
	if len(schemes) > 1 {
		scheme = AllSchemes
	}
	s.addProxies(name, "squid", scheme, name+".access", ports)
	return nil
}

func (s *Stack) squidListener(name string, schemes []string, ports []int) (listener, error) {
	values := map[string]any{
		"Name": name, "Schemes": schemes, "Port": ports[0],
		"NTLM": s.ntlmAuth("squid-2.5-ntlmssp"), "Negotiate": s.negotiateHelper(len(schemes) > 1),
		"Basic": find("basic_ncsa_auth") + " " + s.path("htpasswd"), "Digest": find("digest_file_auth") + " -c " + s.path("digest"),
	}
	extra, err := expand(s.cfg.SquidExtra, values)
	if err != nil {
		return listener{}, fmt.Errorf("further lines for squid.conf: %w", err)
	}
	values["Extra"] = extra
	// Squid goes on when it has got only one of its ports, so both must be reported.
	ready := []string{"Accepting HTTP Socket connections at "}
	if len(ports) > 1 {
		values["TLSPort"] = ports[1]
	}
	for _, port := range ports {
		ready = append(ready, loopback(port)+" ")
	}
	// -n keeps the names in /dev/shm apart.
	args := []string{"-N", "-n", s.shmPrefix() + strings.ReplaceAll(name, "-", ""), "-f", s.path(name + ".conf")}
	return listener{
		env: s.krb5Env(), program: "squid", args: args, log: name + ".cache", ready: ready,
	}, s.configure(name+".conf", "squid.conf", values)
}

// negotiateHelper is the helper for Negotiate. Where NTLM is offered too it also takes NTLM tokens
// under Negotiate, as proxies in a Windows domain do.
func (s *Stack) negotiateHelper(wrapped bool) string {
	// Named, not GSS_C_NO_NAME: for that the helper looks up the machine's own name, and where this
	// fails it makes Squid 5.7 abort.
	kerberos := fmt.Sprintf("%s -k %s -s HTTP/%s@%s", find("negotiate_kerberos_auth"), s.ServiceKeytab(), s.cfg.ProxyHost, Realm)
	if !wrapped {
		return kerberos
	}
	return fmt.Sprintf("%s --ntlm %s --kerberos %s", find("negotiate_wrapper_auth"), s.ntlmAuth("squid-2.5-ntlmssp"), kerberos)
}
