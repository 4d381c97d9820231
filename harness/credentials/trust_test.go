package credentials

import (
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrust(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := errors.Join(os.WriteFile(good, block, 0o600), os.WriteFile(bad, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if c, err := Trust(good); err != nil || c.RootCAs == nil {
		t.Errorf("a certificate: got %+v, %v", c, err)
	}
	if c, err := Trust(""); c != nil || err != nil {
		t.Errorf("no file: got %+v, %v", c, err)
	}
	for _, file := range []string{bad, filepath.Join(dir, "absent")} {
		if _, err := Trust(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want an error that names it", file, err)
		}
	}
}
