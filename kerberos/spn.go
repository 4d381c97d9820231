package kerberos

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// serviceTicket finds a ticket for the proxy: under its name as given first, and where no KDC knows
// that, under its canonical name in DNS. Reverse DNS is never asked: it names the machine, or
// nothing, where the service principal carries the name that users know.
//
// The name in lower case goes before one with capitals: Active Directory makes a ticket for any
// spelling, and the proxy's keytab has only one, as MIT's and Microsoft's clients write it.
func (c *Client) serviceTicket(ctx context.Context, proxyHost string) (*ticket, string, error) {
	host := strings.TrimSuffix(proxyHost, ".")
	var candidates []string
	if c.config.SPNs != nil {
		candidates = c.config.SPNs(proxyHost)
	} else {
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			return nil, "", absent(fmt.Errorf("kerberos needs the proxy's name: there are no service principals for an address like %s; configure the proxy by the name of its HTTP/ principal", host))
		}
		candidates = []string{"HTTP/" + strings.ToLower(host)}
		if spelled := "HTTP/" + host; spelled != candidates[0] {
			candidates = append(candidates, spelled)
		}
	}
	if len(candidates) == 0 || host == "" {
		return nil, "", absent(fmt.Errorf("no service principal to ask a ticket for (proxy %q)", proxyHost))
	}
	t, spn, err := c.firstKnown(ctx, candidates)
	if !isUnknownService(err) {
		return t, spn, err
	}
	if c.config.SPNs == nil {
		if alias := "HTTP/" + c.canonical(ctx, host); !slices.Contains(candidates, alias) {
			candidates = append(candidates, alias)
			if t, spn, err = c.firstKnown(ctx, []string{alias}); !isUnknownService(err) {
				return t, spn, err
			}
		}
	}
	return nil, "", absent(fmt.Errorf("no KDC knows the proxy as a service (tried %s): it must be called by the name of its service principal, or get one for this name (setspn, addprinc): %w", strings.Join(candidates, ", "), err))
}

func (c *Client) firstKnown(ctx context.Context, spns []string) (t *ticket, spn string, err error) {
	for _, spn := range spns {
		if t, err = c.ticketFor(ctx, spn); !isUnknownService(err) {
			return t, spn, err
		}
	}
	return nil, "", err
}

// canonical is the name that DNS gives a host, host itself when it gives none.
func (c *Client) canonical(ctx context.Context, host string) string {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	name, err := c.config.LookupCNAME(ctx, host)
	if name = strings.TrimSuffix(name, "."); err != nil || name == "" {
		return host
	}
	return name
}

// ticketFor returns a ticket for "HTTP/host" or "HTTP/host@REALM".
func (c *Client) ticketFor(ctx context.Context, spn string) (*ticket, error) {
	service, realm, named := cutLast(spn, "@")
	name := krb5.ParseName(krb5.NTSrvInst, service)
	if !named && len(name.Parts) > 1 {
		realm = c.conf.realmOf(name.Parts[1])
	}
	return c.tickets.get(ctx, "service "+spn, c.config.Now(), func(ctx context.Context) (*ticket, error) {
		if t, err := c.source.service(name, realm); t != nil || err != nil {
			return t, err
		}
		return c.fetchService(ctx, name, realm)
	})
}
