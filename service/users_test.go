package service

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func lineErrors(problems []error) (all []string) {
	for _, p := range problems {
		all = append(all, p.Error())
	}
	return all
}

func TestParseUsers(t *testing.T) {
	long := strings.Repeat("x", 509)
	tests := []struct {
		name, text string
		users      map[string]string
		problems   []string
	}{
		{"lines", "alice:a\nbob:b\n", map[string]string{"alice": "a", "bob": "b"}, nil},
		{"no end of line, CRLF, comments, empty lines", "# users\r\n\r\nalice:a\r\n  \nbob:b", map[string]string{"alice": "a", "bob": "b"}, nil},
		{"colons and spaces in the password", "alice: a:b \n", map[string]string{"alice": " a:b "}, nil},
		{"a name beyond ASCII", "böb smith:ü\n", map[string]string{"böb smith": "ü"}, nil},
		{"a key", "alice:0x" + strings.Repeat("0f", 16) + "\n", map[string]string{"alice": "0x" + strings.Repeat("0f", 16)}, nil},
		{"a key too long", "alice:0x" + strings.Repeat("0f", 17) + "\n", nil, []string{"f:1:7: want 0x and the 32 hexadecimal digits of a key; no password may begin with 0x"}},
		{"nothing", "", nil, []string{"f: no users: want lines of name:password"}},
		{"several problems", "alice:a\nsecret\n:secret\nbob:\nalice:secret\n" + long + ":secret\n x:secret\nkey:0xsecret\nbell:sec\aret\n\xff:secret\n",
			map[string]string{"alice": "a"}, []string{
				"f:2:1: want name:password",
				"f:3:1: no name before the colon",
				"f:4:5: no password behind the colon",
				"f:5:1: the same name as in line 1",
				"f:6:1: a name of more than 508 bytes",
				"f:7:1: a name with control characters, spaces around it, or not in UTF-8",
				"f:8:5: want 0x and the 32 hexadecimal digits of a key; no password may begin with 0x",
				"f:9:6: a password with control characters, or not in UTF-8",
				"f:10:1: a name with control characters, spaces around it, or not in UTF-8",
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			users, problems := parseUsers("f", []byte(tt.text))
			if !maps.Equal(users, tt.users) {
				t.Errorf("got %q, want %q", users, tt.users)
			}
			if got := lineErrors(problems); !slices.Equal(got, tt.problems) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.problems, "\n"))
			}
		})
	}
}

func TestParseSecrets(t *testing.T) {
	many := ""
	for i := range maxSecrets + 1 {
		many += fmt.Sprintln("secret", i)
	}
	tests := []struct {
		name, text string
		secrets    int
		problems   []string
	}{
		{"in their order", "# two\nnew\n\nold\r\n", 2, nil},
		{"nothing", "#\n", 0, []string{"f: no secrets: want one per line"}},
		{"several problems", "good\n spaces\nbe\all\ngood\n", 1, []string{
			"f:2:1: spaces around the secret",
			"f:3:1: a secret with control characters, or not in UTF-8",
			"f:4:1: the same secret as in line 1"}},
		{"too many", many, maxSecrets, []string{fmt.Sprintf("f:%d:1: more than %d secrets", maxSecrets+1, maxSecrets)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			secrets, problems := parseSecrets("f", []byte(tt.text))
			if len(secrets) != tt.secrets {
				t.Errorf("got %d secrets, want %d", len(secrets), tt.secrets)
			}
			if got := lineErrors(problems); !reflect.DeepEqual(got, tt.problems) {
				t.Errorf("got %q, want %q", got, tt.problems)
			}
		})
	}
	if secrets, _ := parseSecrets("f", []byte("new\nold\n")); !slices.Equal(secrets, []string{"new", "old"}) {
		t.Errorf("got %q, want the order of the file", secrets)
	}
}

// What is taken could be written again and read the same, and no problem shows what stands there.
func FuzzParseUsers(f *testing.F) {
	for _, seed := range []string{"alice:a\n", "a:b:c\r\n#x\n", ":\n", "a:0x1", "a\n", "\xff:\xfe"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		users, problems := parseUsers("f", text)
		if len(users) == 0 {
			if problems == nil {
				t.Error("neither users nor problems")
			}
			return
		}
		var b strings.Builder
		for name, password := range users {
			fmt.Fprintf(&b, "%s:%s\n", name, password)
		}
		again, _ := parseUsers("f", []byte(b.String()))
		// A name that begins with # would be a comment; none is taken from one.
		if !maps.Equal(again, users) {
			t.Errorf("got %q, then %q", users, again)
		}
	})
}

func FuzzParseSecrets(f *testing.F) {
	for _, seed := range []string{"a\nb\n", "#\n", " a", "a\r\na\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		secrets, problems := parseSecrets("f", text)
		if len(secrets) == 0 && problems == nil {
			t.Error("neither secrets nor problems")
		}
		if len(secrets) > maxSecrets {
			t.Errorf("%d secrets", len(secrets))
		}
	})
}

func TestNewCredential(t *testing.T) {
	dir := t.TempDir()
	good, bad := write(t, dir, "good", "north\nold\n"), write(t, dir, "bad", "# none\n")
	now := time.Unix(1795386400, 0)
	tests := []struct {
		name, file, user string
		ttl              time.Duration
		want             string // user name and password, or the error's end
	}{
		// printf '1795390000:alice' | openssl dgst -sha1 -hmac north -binary | base64
		{"of the first secret", good, "alice", time.Hour, "1795390000:alice +sw0YOvNAMgqYpoTPQp4dYISCQI="},
		{"too short", good, "alice", time.Millisecond, "ttl 1ms: want at least 1s and at most 8784h0m0s"},
		{"too long", good, "alice", 9000 * time.Hour, "ttl 9000h0m0s: want at least 1s and at most 8784h0m0s"},
		{"a user of two lines", good, "a\nb", time.Hour, "user: holds control characters, or is not in UTF-8"},
		{"a long user", good, strings.Repeat("x", 500), time.Hour, "user: 500 bytes make a user name of more than 508"},
		{"no file", dir + "/absent", "alice", time.Hour, "secret file: open " + dir + "/absent: no such file or directory"},
		{"no secret", bad, "alice", time.Hour, bad + ": no secrets: want one per line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewCredential(tt.file, tt.user, tt.ttl, now)
			got := c.Username + " " + c.Password
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if c.Password != "" && strings.Contains(fmt.Sprintf("%v %+v %#v", c, c, &c), c.Password) {
				t.Error("it shows its password")
			}
		})
	}
}

// One question asks for users and for what the secrets are good for, while secrets are in use.
func TestLookup(t *testing.T) {
	l := new(live)
	l.current.Store(&material{})
	if a, ok := l.Lookup("alice"); ok {
		t.Errorf("nothing was loaded; got %v", a)
	}
	if c, err := l.certificate(nil); err == nil {
		t.Errorf("nothing was loaded; got %v", c)
	}
}
