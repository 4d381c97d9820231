package krb5

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeytabOfMIT reads what ktadd wrote: version 2 of a key of every type.
func TestKeytabOfMIT(t *testing.T) {
	kt, err := ParseKeytab(sample(t, "http.keytab"))
	if err != nil {
		t.Fatal(err)
	}
	name := ParseName(NTPrincipal, "HTTP/localhost")
	if len(kt) != 5 || !kt.Holds(name, "EXAMPLE.TEST") || kt.Holds(name, "OTHER.TEST") {
		t.Fatalf("got %d entries, want the five of HTTP/localhost@EXAMPLE.TEST", len(kt))
	}
	for _, etype := range Etypes() {
		if e, ok := kt.Find(name, "EXAMPLE.TEST", 2, etype); !ok || len(e.Key.Value) != suites[etype].keySize {
			t.Errorf("%s: got %v, %v, want a key of %d bytes", EtypeName(etype), e.Key, ok, suites[etype].keySize)
		}
	}
	if _, ok := kt.Find(name, "EXAMPLE.TEST", 3, AES256SHA1); ok {
		t.Error("found a key of version 3, which is not there")
	}
	b, err := kt.Marshal()
	if err != nil || !bytes.Equal(b, sample(t, "http.keytab")) {
		t.Errorf("written again it is %x (%v), want the same bytes", b, err)
	}
}

func TestKeytabNewest(t *testing.T) {
	name := ParseName(NTPrincipal, "a")
	entry := func(kvno uint32, seconds int64) KeytabEntry {
		return KeytabEntry{Name: name, Realm: "R", Time: time.Unix(seconds, 0), KVNO: kvno, Key: Key{AES128SHA1, []byte{byte(kvno), byte(seconds)}}}
	}
	kt := Keytab{entry(1, 9), entry(300, 1), entry(300, 2), entry(2, 9)}
	b, err := kt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if kt, err = ParseKeytab(b); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ kvno, want uint32 }{{0, 300}, {1, 1}, {300, 300}} {
		e, ok := kt.Find(name, "R", tt.kvno, AES128SHA1)
		if !ok || e.KVNO != tt.want || tt.want == 300 && e.Time.Unix() != 2 {
			t.Errorf("version %d: got %d of %v, want %d", tt.kvno, e.KVNO, e.Time, tt.want)
		}
	}
}

// TestKeytabHoles skips removed entries and stops at the end mark.
func TestKeytabHoles(t *testing.T) {
	full := sample(t, "http.keytab")
	holes := append([]byte{5, 2, 0xff, 0xff, 0xff, 0xfd, 'x', 'y', 'z'}, full[2:]...)
	holes = append(holes, 0, 0, 0, 0, 'r', 'e', 's', 't')
	kt, err := ParseKeytab(holes)
	if err != nil || len(kt) != 5 {
		t.Errorf("got %d entries, %v, want 5", len(kt), err)
	}
}

func TestCCacheOfMIT(t *testing.T) {
	c, err := ParseCCache(sample(t, "kinit.ccache"))
	if err != nil {
		t.Fatal(err)
	}
	var servers []string
	for _, cred := range c.Creds {
		servers = append(servers, full(cred.Server, cred.ServerRealm))
		if _, err := ParseTicket(cred.Ticket); err != nil {
			t.Errorf("ticket for %s: %v", cred.Server, err)
		}
		if d := cred.End.Sub(cred.Start); d < 23*time.Hour || d > 25*time.Hour {
			t.Errorf("ticket for %s: valid for %v, want a day", cred.Server, d)
		}
		if cred.Key.Etype != AES256SHA1 || len(cred.Key.Value) != 32 {
			t.Errorf("ticket for %s: %v of %d bytes", cred.Server, cred.Key, len(cred.Key.Value))
		}
	}
	if got, want := full(c.Client, c.Realm), "alice@EXAMPLE.TEST"; got != want {
		t.Errorf("got client %s, want %s", got, want)
	}
	if got, want := strings.Join(servers, " "), "krbtgt/EXAMPLE.TEST@EXAMPLE.TEST HTTP/localhost@EXAMPLE.TEST"; got != want {
		t.Errorf("got tickets for %s, want %s", got, want)
	}
}

func full(n Name, realm string) string { return n.String() + "@" + realm }

func FuzzKeytab(f *testing.F) {
	f.Add(sample(f, "http.keytab"))
	f.Add([]byte{5, 2, 0x80, 0, 0, 0})
	f.Add([]byte{5, 2, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		kt, err := ParseKeytab(b)
		if err != nil {
			return
		}
		again, err := kt.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseKeytab(again); err != nil || len(back) != len(kt) {
			t.Errorf("written again: %d entries, %v, want %d", len(back), err, len(kt))
		}
	})
}

func FuzzCCache(f *testing.F) {
	f.Add(sample(f, "kinit.ccache"))
	f.Add([]byte{5, 4, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff})
	f.Add(append([]byte{5, 3}, sample(f, "kinit.ccache")[4:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCCache(b)
		if err != nil {
			return
		}
		for _, cred := range c.Creds {
			if len(cred.Ticket) > len(b) {
				t.Errorf("a ticket of %d bytes in a file of %d", len(cred.Ticket), len(b))
			}
		}
	})
}
