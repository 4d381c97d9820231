package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/turngate/turngate/service"
)

type credentialCmd struct {
	SecretFile string        `required:"" placeholder:"FILE" help:"The server's --auth-secret-file; its first secret is used."`
	User       string        `placeholder:"NAME" help:"Whom the server's log shall name."`
	TTL        time.Duration `name:"ttl" default:"1h" help:"How long it can be used for new allocations."`
	JSON       bool          `name:"json" help:"Print JSON: username, password, ttl in seconds."`
}

// Help is shown by turngate credential --help.
func (credentialCmd) Help() string {
	return `Prints a user name and a password of the TURN REST API, which every server that knows the secret accepts
until the time is over. Calls that run then go on.

  turngate credential --secret-file /etc/turngate/secrets --user alice --ttl 8h --json`
}

// Run prints a credential.
func (c *credentialCmd) Run(std stdio) error {
	credential, err := service.NewCredential(c.SecretFile, c.User, c.TTL, time.Now())
	if err != nil {
		return usageError{err}
	}
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetEscapeHTML(false)
		return e.Encode(credential)
	}
	_, err = fmt.Fprintf(std.out, "username %s\npassword %s\n", credential.Username, credential.Password)
	return err
}
