package realstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// Krb5Conf returns the path of the krb5.conf for clients. Like the methods below it is of use only
// when the KDC was started.
func (s *Stack) Krb5Conf() string { return s.path("krb5.conf") }

// Keytab returns the path of a keytab with the keys of a user's password.
func (s *Stack) Keytab(user string) string { return s.path("kdc", user+".keytab") }

// ServiceKeytab returns the path of the keytab of HTTP/ProxyHost.
func (s *Stack) ServiceKeytab() string { return s.path("kdc", "http.keytab") }

// CCache logs a user in with MIT's kinit and returns the path of a new credential cache.
func (s *Stack) CCache(ctx context.Context, user string) (string, error) {
	password, err := s.cfg.password(user)
	if err != nil {
		return "", err
	}
	return s.kinit(ctx, user, password, time.Hour)
}

// ExpiredCCache returns the path of a credential cache whose ticket expired a day ago by what the
// cache says, as a user's does who comes back to a machine left on. (The ticket itself is honoured a
// few minutes longer than its lifetime of one second: nothing but the client's own look at the clock
// makes it useless at once.)
func (s *Stack) ExpiredCCache(ctx context.Context, user string) (string, error) {
	password, err := s.cfg.password(user)
	if err != nil {
		return "", err
	}
	cache, err := s.kinit(ctx, user, password, time.Second)
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(cache)
	if err != nil {
		return "", err
	}
	if err := backdate(content, 24*time.Hour); err != nil {
		return "", fmt.Errorf("%s: %w", cache, err)
	}
	return cache, os.WriteFile(cache, content, 0o600)
}

// KDCFailures returns how many wrong passwords of a user the KDC has seen (PREAUTH_FAILED).
func (s *Stack) KDCFailures(user string) (int, error) {
	return s.countLines("kdc.log", "PREAUTH_FAILED: "+user+"@"+Realm+" for ")
}

func (s *Stack) kinit(ctx context.Context, user, password string, life time.Duration) (string, error) {
	s.mu.Lock()
	s.caches++
	cache := s.path("cc-" + user + "-" + strconv.Itoa(s.caches))
	s.mu.Unlock()
	env := append(s.krb5Env(), "KRB5CCNAME=FILE:"+cache)
	seconds := strconv.Itoa(int(life/time.Second)) + "s"
	_, err := s.run(ctx, password+"\n", env, "kinit", "-l", seconds, user+"@"+Realm)
	return cache, err
}

// faketime is the library that makes clocks go wrong.
const faketime = "libfaketime.so.1"

// krb5Env is the environment of every program that speaks Kerberos. KRB5RCACHENAME turns the replay
// cache off: it would be a file of the machine, shared with strangers.
func (s *Stack) krb5Env() []string {
	return []string{"KRB5_CONFIG=" + s.Krb5Conf(), "KRB5_KDC_PROFILE=" + s.path("kdc.conf"), "KRB5RCACHENAME=none:"}
}

func (s *Stack) startKDC(ctx context.Context) error {
	if err := s.mkdir("kdc"); err != nil {
		return err
	}
	created := false
	_, err := s.serve(ctx, "kdc", 1, func(ports []int) (listener, error) {
		l, err := s.kdcListener(ports)
		if err == nil && !created {
			err = s.createRealm(ctx)
			created = true
		}
		return l, err
	})
	return err
}

func (s *Stack) kdcListener(ports []int) (listener, error) {
	values := map[string]any{"KDC": loopback(ports[0])}
	env := s.krb5Env()
	if s.cfg.KDCClock != 0 {
		env = append(env, "LD_PRELOAD="+find(faketime), fmt.Sprintf("FAKETIME=%+ds", int(s.cfg.KDCClock.Seconds())))
	}
	return listener{
		env: env, program: "krb5kdc", args: []string{"-n", "-r", Realm, "-P", s.path("kdc", "pid")},
		log: "kdc.log", ready: []string{"commencing operation"},
	}, errors.Join(s.configure("krb5.conf", "krb5.conf", values), s.configure("kdc.conf", "kdc.conf", values))
}

// createRealm makes the database, the users and the keytabs. kadmin.local takes passwords from its
// prompt here, twice each.
func (s *Stack) createRealm(ctx context.Context) error {
	master := rand.Text()
	if _, err := s.run(ctx, master+"\n"+master+"\n", s.krb5Env(), "kdb5_util", "-r", Realm, "create", "-s"); err != nil {
		return err
	}
	service := "HTTP/" + s.cfg.ProxyHost
	script := fmt.Sprintf("addprinc -randkey %s\nktadd -k %s %s\n", service, s.ServiceKeytab(), service)
	keytabs := []string{s.ServiceKeytab()}
	for _, u := range s.cfg.Users {
		if _, err := s.kadmin(ctx, u.Password+"\n"+u.Password+"\n", "-q", "addprinc "+u.Name); err != nil {
			return err
		}
		script += fmt.Sprintf("ktadd -norandkey -k %s %s\n", s.Keytab(u.Name), u.Name)
		keytabs = append(keytabs, s.Keytab(u.Name))
	}
	said, err := s.kadmin(ctx, script)
	if err != nil {
		return err
	}
	for _, keytab := range keytabs { // kadmin.local ends with 0 whatever happened
		if _, err := os.Stat(keytab); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("kadmin.local made no %s: %s", keytab, tail([]byte(said), 800))
		}
	}
	return nil
}

func (s *Stack) kadmin(ctx context.Context, stdin string, args ...string) (string, error) {
	return s.run(ctx, stdin, s.krb5Env(), "kadmin.local", append([]string{"-r", Realm}, args...)...)
}

// countLines counts the lines of a log that contain all of the words. No log is no line.
func (s *Stack) countLines(log string, words ...string) (int, error) {
	content, err := os.ReadFile(s.path("log", log))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	count := 0
	for line := range strings.Lines(string(content)) {
		if containsAll(line, words) {
			count++
		}
	}
	return count, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
