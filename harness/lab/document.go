package lab

import (
	"errors"
	"os"
	"path/filepath"
)

// A Document describes a running lab to other programs. Secrets are in files that only the user can
// read.
type Document struct {
	Lab     string          `json:"lab"` // "embedded" or "real"
	Proxies []ProxyDocument `json:"proxies"`
	TURN    TURNDocument    `json:"turn"`

	User          string `json:"user"` // of the proxies
	PasswordFile  string `json:"password_file"`
	Realm         string `json:"realm"` // Kerberos
	Krb5Conf      string `json:"krb5_conf,omitempty"`
	ExpiredCCache string `json:"expired_ccache,omitempty"`
	CA            string `json:"ca"` // PEM file
	Dir           string `json:"dir"`
}

// A ProxyDocument describes one proxy.
type ProxyDocument struct {
	URL            string `json:"url"`
	Scheme         string `json:"scheme"`
	Implementation string `json:"implementation"`
	PID            int    `json:"pid"`
}

// A TURNDocument describes the TURN server; it is empty if there is none.
type TURNDocument struct {
	TCP          string `json:"tcp,omitempty"` // host:port
	TLS          string `json:"tls,omitempty"`
	User         string `json:"user,omitempty"`
	PasswordFile string `json:"password_file,omitempty"`
	PID          int    `json:"pid,omitempty"`
}

// Describe writes the files that other programs need of the lab into a directory, and describes it.
func (l *Lab) Describe(dir string) (Document, error) {
	d := Document{Lab: l.Name, User: l.User.Name, Realm: l.Realm, ExpiredCCache: l.ExpiredCCache, Dir: dir}
	d.CA, d.PasswordFile = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	errs := []error{write(d.CA, string(l.CA)), write(d.PasswordFile, l.User.Password+"\n")}
	if l.Krb5Conf != "" {
		d.Krb5Conf = filepath.Join(dir, "krb5.conf")
		errs = append(errs, write(d.Krb5Conf, l.Krb5Conf))
	}
	if l.TURN.TCP != "" {
		d.TURN = TURNDocument{
			TCP: l.TURN.TCP, TLS: l.TURN.TLS, User: l.TURN.User.Name, PID: os.Getpid(),
			PasswordFile: filepath.Join(dir, "turn-password"),
		}
		errs = append(errs, write(d.TURN.PasswordFile, l.TURN.User.Password+"\n"))
	}
	for _, p := range l.Proxies {
		d.Proxies = append(d.Proxies, ProxyDocument{p.URL, p.Scheme, p.Implementation, p.PID})
	}
	return d, errors.Join(errs...)
}

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
