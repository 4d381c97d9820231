package realstack

import (
	"context"
	"errors"
)

var apacheModules = []string{
	"mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "auth_digest",
	"auth_gssapi", "proxy", "proxy_connect", "ssl",
}

// apacheSchemes are what the one Apache offers, each on ports of its own.
var apacheSchemes = []string{"Basic", "Digest", "Negotiate", "NTLM"}

type apacheHost struct {
	Scheme string
	Port   int
	TLS    bool
}

type apacheModule struct{ Name, Path string }

func (s *Stack) startApache(ctx context.Context) error {
	if err := errors.Join(s.writeWebUsers(ctx), s.mkdir("apache")); err != nil {
		return err
	}
	each := 1
	if s.cfg.tls() {
		each = 2
	}
	ports, err := s.serve(ctx, "apache", each*len(apacheSchemes), func(ports []int) (listener, error) {
		return s.apacheListener(ports, each)
	})
	if err != nil {
		return err
	}
	for i, scheme := range apacheSchemes {
		s.addProxies("apache", "apache", scheme, "apache.access", ports[i*each:(i+1)*each])
	}
	return nil
}

func (s *Stack) apacheListener(ports []int, each int) (listener, error) {
	var hosts []apacheHost
	for i, port := range ports {
		hosts = append(hosts, apacheHost{apacheSchemes[i/each], port, i%each == 1})
	}
	var modules []apacheModule
	for _, name := range apacheModules {
		modules = append(modules, apacheModule{name + "_module", find("mod_" + name + ".so")})
	}
	env := append(s.krb5Env(),
		"NTLM_USER_FILE="+s.path("ntlm.users"), "NETBIOS_COMPUTER_NAME="+Domain, "NETBIOS_DOMAIN_NAME="+Domain)
	return listener{
		env: env, program: "apache2", args: []string{"-f", s.path("apache.conf"), "-DFOREGROUND"},
		log: "apache.error", ready: []string{"resuming normal operations"},
	}, s.configure("apache.conf", "apache.conf", map[string]any{"Hosts": hosts, "Modules": modules})
}
