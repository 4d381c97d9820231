package realstack

import (
	"context"
	"fmt"
	"regexp"
)

// tinyPassword is all that tinyproxy's configuration can express.
var tinyPassword = regexp.MustCompile(`^[-A-Za-z0-9._]+$`)

func (s *Stack) startTinyproxy(ctx context.Context) error {
	var users []User
	for _, u := range s.cfg.Users {
		if tinyPassword.MatchString(u.Password) {
			users = append(users, u)
		}
	}
	if len(users) == 0 {
		return fmt.Errorf("no user has a password that it can express: want letters, digits and . _ - only")
	}
	if err := s.write("tinyproxy.allow", []byte("^127\\.\n^localhost$\n")); err != nil {
		return err
	}
	ports, err := s.serve(ctx, "tinyproxy", 1, func(ports []int) (listener, error) {
		return s.tinyproxyListener(ports, users)
	})
	if err != nil {
		return err
	}
	s.addProxies("tinyproxy", "tinyproxy", "Basic", "tinyproxy.log", ports)
	return nil
}

func (s *Stack) tinyproxyListener(ports []int, users []User) (listener, error) {
	return listener{
		program: "tinyproxy", args: []string{"-d", "-c", s.path("tinyproxy.conf")},
		log: "tinyproxy.log", ready: []string{"Accepting connections"}, taken: "Could not create listening sockets",
	}, s.configure("tinyproxy.conf", "tinyproxy.conf", map[string]any{"Port": ports[0], "Users": users})
}
