package kerberos_test

import (
	"testing"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/internal/krb5"
)

func TestHandshakeEtypes(t *testing.T) {
	for _, etype := range krb5.Etypes() {
		t.Run(krb5.EtypeName(etype), func(t *testing.T) {
			kdc := startKDC(t, etype)
			client := newClient(t, kerberos.Config{User: "alice", Password: password, Krb5Conf: kdc.Config()})
			user, err := handshake(testContext(t), client, newAcceptor(t, kdc), "localhost", nil, nil)
			if err != nil || user != "alice@"+realm {
				t.Errorf("got user %q and error %v, want alice@%s", user, err, realm)
			}
		})
	}
}
