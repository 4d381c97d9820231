package krb5

import (
	"os"
	"reflect"
	"testing"
	"time"
)

// What is written is what was read, and kinit's own cache survives both.
func TestCCacheMarshal(t *testing.T) {
	fromKinit, err := os.ReadFile("../../testdata/kinit.ccache")
	if err != nil {
		t.Fatal(err)
	}
	kinit, err := ParseCCache(fromKinit)
	if err != nil || len(kinit.Creds) == 0 {
		t.Fatalf("kinit's cache: %v, %d tickets", err, len(kinit.Creds))
	}
	alice := ParseName(NTPrincipal, "alice")
	own := &CCache{Client: alice, Realm: "R", Creds: []Credential{{
		Client: alice, ClientRealm: "R", Server: ParseName(NTSrvInst, "krbtgt/R"), ServerRealm: "R",
		Key: Key{Etype: 18, Value: []byte("key")}, Start: time.Unix(1000, 0).UTC(), End: time.Unix(2000, 0).UTC(),
		Flags: 0x40000000, Ticket: []byte("ticket"),
	}}}
	for name, want := range map[string]*CCache{"kinit's": kinit, "own": own} {
		got, err := ParseCCache(want.Marshal())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}
