package realstack

import (
	"bytes"
	"embed"
	"strings"
	"text/template"
)

//go:embed conf
var confFiles embed.FS

var confs = template.Must(template.ParseFS(confFiles, "conf/*"))

// webRealm is the realm of Basic and Digest.
const webRealm = "turngate-lab"

// expand fills in values in a text of the user.
func expand(text string, values map[string]any) (string, error) {
	t, err := template.New("text").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, values)
	return out.String(), err
}

// configure writes conf/TEMPLATE, filled in with values and what every template may use, to a
// private file called name.
func (s *Stack) configure(name, template string, values map[string]any) error {
	all := map[string]any{
		"Dir": s.Dir, "ProxyHost": s.cfg.ProxyHost, "Users": s.cfg.Users, "Realm": Realm,
		"Domain": Domain, "WebRealm": webRealm, "RemoteName": RemoteName, "Refused": RefusedPort,
	}
	for key, value := range values {
		all[key] = value
	}
	var out bytes.Buffer
	if err := confs.ExecuteTemplate(&out, template, all); err != nil {
		return err
	}
	return s.write(name, out.Bytes())
}
