package realstack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A part is one thing to start.
type part struct {
	name  string
	files []string // programs, modules and libraries it needs, by file name
	after []string // parts that must be ready before, and are started with it
	start func(*Stack, context.Context) error
}

var (
	sambaFiles = []string{"winbindd", "ntlm_auth", "pdbedit", "env", "libnss_wrapper.so", "libuid_wrapper.so"}
	kdcFiles   = []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit"}
)

// parts is everything there is, verifiers first.
var parts = []part{
	{"kdc", kdcFiles, nil, (*Stack).startKDC},
	{"winbind", sambaFiles, nil, (*Stack).startWinbind},
	squidPart("squid/basic", nil, "Basic"),
	squidPart("squid/digest", nil, "Digest"),
	squidPart("squid/ntlm", []string{"winbind"}, "NTLM"),
	squidPart("squid/negotiate", []string{"kdc"}, "Negotiate"),
	squidPart("squid/all", []string{"kdc", "winbind"}, "Negotiate", "NTLM", "Digest", "Basic"),
	{"apache", []string{"apache2", "htpasswd", "mod_auth_gssapi.so", "gssntlmssp.so"}, []string{"kdc"}, (*Stack).startApache},
	{"tinyproxy", []string{"tinyproxy"}, nil, (*Stack).startTinyproxy},
}

// Missing returns the names of programs, modules and libraries that Start needs and that are not on
// this machine. only is Config.Only; names in it that do not exist are returned too.
func Missing(only ...string) []string {
	chosen, err := choose(only)
	if err != nil {
		return only
	}
	return missingFor(chosen)
}

func missingFor(chosen []part) (missing []string) {
	missing = append(missing, missingPlatform...)
	for _, name := range reaperFiles {
		if find(name) == "" {
			missing = append(missing, name)
		}
	}
	for _, p := range chosen {
		for _, name := range p.files {
			if find(name) == "" && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	return missing
}

// choose returns the parts that only names and what these need, in the order of parts.
func choose(only []string) ([]part, error) {
	if len(only) == 0 {
		return parts, nil
	}
	all := slices.Concat(parts, optionalParts)
	wanted := map[string]bool{}
	for _, name := range only {
		known := false
		for _, p := range all {
			if p.name == name || strings.HasPrefix(p.name, name+"/") {
				known, wanted[p.name] = true, true
				for _, needed := range p.after {
					wanted[needed] = true
				}
			}
		}
		if !known {
			return nil, fmt.Errorf("real proxies: no part is called %q", name)
		}
	}
	return slices.DeleteFunc(all, func(p part) bool { return !wanted[p.name] }), nil
}

// startParts starts all of them at once, each as soon as those before it are ready, and returns the
// first error after all have come to an end.
func (s *Stack) startParts(ctx context.Context, chosen []part) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := map[string]chan struct{}{}
	for _, p := range chosen {
		ready[p.name] = make(chan struct{})
	}
	failed := make(chan error, len(chosen))
	var wg sync.WaitGroup
	for _, p := range chosen {
		wg.Go(func() {
			if !awaitParts(ctx, p.after, ready) {
				return // the one that we wait for knows why
			}
			if err := s.startPart(ctx, p); err != nil {
				failed <- fmt.Errorf("%s: %w", p.name, err)
				cancel()
				return
			}
			close(ready[p.name])
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

func awaitParts(ctx context.Context, names []string, ready map[string]chan struct{}) bool {
	for _, name := range names {
		select {
		case <-ready[name]:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (s *Stack) startPart(ctx context.Context, p part) error {
	began := time.Now()
	if err := p.start(s, ctx); err != nil {
		return err
	}
	s.logf("%s ready after %.2f s\n", p.name, time.Since(began).Seconds())
	return nil
}

func (s *Stack) logf(format string, args ...any) {
	if s.cfg.Log == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.cfg.Log, format, args...)
}
