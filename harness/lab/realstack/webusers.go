package realstack

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// writeWebUsers writes, once, the files that several proxies share: the users for Basic, Digest and
// gss-ntlmssp, the certificate, and the names that Squid knows.
func (s *Stack) writeWebUsers(ctx context.Context) error {
	s.webOnce.Do(func() {
		s.webErr = errors.Join(
			s.writeBasic(ctx),
			s.writeDigest(),
			s.writeGSSNTLM(),
			s.write("hosts", []byte("127.0.0.1 localhost "+RemoteName+"\n")),
			s.write("tls.crt", s.cfg.CertPEM),
			s.write("tls.key", s.cfg.KeyPEM),
		)
	})
	return s.webErr
}

// writeBasic has Apache's htpasswd salt and hash the passwords.
func (s *Stack) writeBasic(ctx context.Context) error {
	if find("htpasswd") == "" { // then nothing that wants the file was chosen
		return nil
	}
	if err := s.write("htpasswd", nil); err != nil {
		return err
	}
	for _, u := range s.cfg.Users {
		if _, err := s.run(ctx, u.Password+"\n", nil, "htpasswd", "-i", "-m", s.path("htpasswd"), u.Name); err != nil {
			return err
		}
	}
	return nil
}

// writeDigest writes H(A1) of RFC 7616 section 3.4.2, as digest_file_auth -c and Apache read it.
func (s *Stack) writeDigest() error {
	var all strings.Builder
	for _, u := range s.cfg.Users {
		fmt.Fprintf(&all, "%s:%s:%s\n", u.Name, webRealm, digestKey(u))
	}
	return s.write("digest", []byte(all.String()))
}

func digestKey(u User) string {
	sum := md5.Sum([]byte(u.Name + ":" + webRealm + ":" + u.Password))
	return hex.EncodeToString(sum[:])
}

// writeGSSNTLM writes the file of NTLM_USER_FILE, where a ':' ends the password.
func (s *Stack) writeGSSNTLM() error {
	var all strings.Builder
	for _, u := range s.cfg.Users {
		if !strings.Contains(u.Password, ":") {
			fmt.Fprintf(&all, "%s:%s:%s\n", Domain, u.Name, u.Password)
		}
	}
	return s.write("ntlm.users", []byte(all.String()))
}
