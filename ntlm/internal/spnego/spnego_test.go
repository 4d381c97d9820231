package spnego

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Tokens as Samba's ntlm_auth sent them, and bytes written by hand from RFC 4178.
func TestParseResp(t *testing.T) {
	for _, c := range []struct {
		name, token string
		want        Resp
	}{
		{"Samba, completed", "a107 3005 a003 0a0100", Resp{State: AcceptCompleted}},
		{"Samba, completed and signed", "a11b 3019 a003 0a0100 a312 0410 010000008106287f7f69a99b00000000",
			Resp{State: AcceptCompleted, MechListMIC: unhex(t, "010000008106287f7f69a99b00000000")}},
		{"challenge", "a119 3017 a003 0a0103 a10c 060a 2b06010401823702020a a202 0400",
			Resp{State: RequestMIC, SupportedMech: NTLMSSP, ResponseToken: []byte{}}},
		{"reject", "a107 3005 a003 0a0102", Resp{State: Reject}},
		{"nothing said", "a102 3000", Resp{State: Absent}},
	} {
		got, err := ParseResp(unhex(t, c.token))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

// The NegTokenInit of one mechanism, byte by byte (RFC 4178 section 4.2.1, RFC 2743 section 3.1).
func TestInitOnTheWire(t *testing.T) {
	want := unhex(t, `601c 0606 2b0601050502 a012 3010 a00e 300c 060a 2b06010401823702020a`)
	want[1] += 2 + 2 + 3 // a mechToken of three bytes lengthens every container around it
	want[11] += 2 + 2 + 3
	want[13] += 2 + 2 + 3
	want = append(want, unhex(t, "a205 0403 414243")...)
	got, err := Init{MechTypes: []asn1.ObjectIdentifier{NTLMSSP}, MechToken: []byte("ABC")}.Marshal()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
}

func TestTokensComeBack(t *testing.T) {
	kerberos := asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	init := Init{MechTypes: []asn1.ObjectIdentifier{kerberos, NTLMSSP}, MechToken: bytes.Repeat([]byte("x"), 300), MechListMIC: []byte("y")}
	b, err := init.Marshal()
	if err != nil || !IsInit(b) || IsResp(b) {
		t.Fatalf("got %x, %v", b, err)
	}
	if got, err := ParseInit(b); err != nil || !reflect.DeepEqual(got, init) {
		t.Errorf("got %+v, %v, want %+v", got, err, init)
	}
	resp := Resp{State: AcceptIncomplete, SupportedMech: NTLMSSP, ResponseToken: []byte("z"), MechListMIC: []byte("y")}
	if b, err = resp.Marshal(); err != nil || !IsResp(b) || IsInit(b) {
		t.Fatalf("got %x, %v", b, err)
	}
	if got, err := ParseResp(b); err != nil || !reflect.DeepEqual(got, resp) {
		t.Errorf("got %+v, %v, want %+v", got, err, resp)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct{ name, token, want string }{
		{"another mechanism's frame", "600c 0606 2b0601050503 a002 3000", "instead of SPNEGO"},
		{"no frame", "a002 3000", "SPNEGO frame"},
		{"cut off", "601d 0606 2b0601050502 a013", "SPNEGO frame"},
		{"trailing byte", "a107 3005 a003 0a0100 00", "bytes after its end"},
		{"trailing byte in the frame", "600d 0606 2b0601050502 a002 3000 00", "SPNEGO"},
		{"token of no mechanism", "600c 0606 2b0601050502 a002 3000", "NegTokenInit"},
	} {
		b := unhex(t, c.token)
		_, err := ParseInit(b)
		if IsResp(b) {
			_, err = ParseResp(b)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}
