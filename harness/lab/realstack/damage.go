package realstack

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Kadmin gives the KDC a command as its administrator does, such as "cpw -randkey HTTP/localhost". It
// takes effect at once.
func (s *Stack) Kadmin(ctx context.Context, command string) error {
	said, err := s.kadmin(ctx, "", "-q", command)
	if err == nil && (strings.Contains(said, "while ") || strings.Contains(said, "Usage:")) {
		err = fmt.Errorf("kadmin.local %s: %s", command, tail([]byte(said), 400)) // it ends with 0 whatever happened
	}
	return err
}

// Stop ends one part by its name, as if it had crashed: "winbind", "kdc", "squid-basic". What depends
// on it stays.
func (s *Stack) Stop(name string) error {
	s.mu.Lock()
	i := slices.IndexFunc(s.services, func(v *service) bool { return v.name == name })
	if i < 0 {
		s.mu.Unlock()
		return fmt.Errorf("no part of this stack is called %q", name)
	}
	v := s.services[i]
	s.services = slices.Delete(s.services, i, i+1)
	s.mu.Unlock()
	v.kill()
	return nil
}
