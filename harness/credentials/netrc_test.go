package credentials

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNetrc(t *testing.T) {
	const file = `# comment
machine other login o password x
machine proxy.corp login CORP\alice account a password "a b\"c\\d"
machine proxy.corp login second password second
machine m
	login
	bob
	password hunter#2
macdef init
machine trap login trap password trap

machine after login after password macdef
machine last login last password last
default login anyone password any`
	for _, c := range []struct {
		host, user string
		password   Secret
	}{
		{"proxy.corp", `CORP\alice`, `a b"c\d`}, {"PROXY.corp", `CORP\alice`, `a b"c\d`}, {"m", "bob", "hunter#2"},
		{"trap", "anyone", "any"}, {"after", "after", "macdef"}, {"last", "last", "last"}, {"elsewhere", "anyone", "any"},
	} {
		user, password, err := Netrc(netrc(t, file), c.host)
		if err != nil || user != c.user || password != c.password {
			t.Errorf("%s: got %q, %q, %v; want %q, %q", c.host, user, string(password), err, c.user, string(c.password))
		}
	}
	if user, password, err := Netrc(netrc(t, "machine a login b password c"), "d"); user != "" || password != "" || err != nil {
		t.Errorf("got %q, %v, want nothing", user, err)
	}
	for text, want := range map[string]string{
		"machine a\nlogin b password": "line 2: a value is missing", "login b s3cret": "line 1: login stands before any machine",
		"machine a login b s3cret x": "line 1: want machine", "machine a password \"s3cret": "line 1: a quotation mark",
		strings.Repeat(" ", maxNetrc+1): "no netrc file",
	} {
		_, _, err := Netrc(netrc(t, text), "a")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
	if _, _, err := Netrc("/no/such/file", "a"); err == nil {
		t.Error("a file that is absent was read")
	}
}

func netrc(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func FuzzNetrc(f *testing.F) {
	for _, seed := range []string{"", "machine a login b password c", "default login \"a b\" password x", "macdef x\ny\n\nmachine z", "machine \"", "# x\nlogin"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := netrcEntries(text)
		if err != nil && len(entries) > 0 {
			t.Errorf("entries beside %v", err)
		}
	})
}
