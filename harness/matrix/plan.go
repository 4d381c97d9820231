package matrix

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/diagnosis"
)

// A Plan names the user's own proxies and TURN servers as cells.
type Plan struct{ cells []Cell }

// Cells returns the cells of the plan. For every way over turn or turns there is, where the plan asks
// for it, a direct cell beside.
func (p *Plan) Cells() []Cell { return p.cells }

// The YAML of a plan. Secrets are named by file or environment variable, never written into it.
type (
	planFile struct {
		TURN   *planTURN  `yaml:"turn"`
		Direct bool       `yaml:"direct"`
		CA     string     `yaml:"ca"`
		Cells  []planCell `yaml:"cells"`
	}
	planTURN struct {
		URL          string `yaml:"url"`
		User         string `yaml:"user"`
		PasswordFile string `yaml:"password_file"`
		PasswordEnv  string `yaml:"password_env"`
		line         int
	}
	planCell struct {
		Name               string    `yaml:"name"`
		Proxy              string    `yaml:"proxy"`
		Auth               string    `yaml:"auth"`
		User               string    `yaml:"user"`
		PasswordFile       string    `yaml:"password_file"`
		PasswordEnv        string    `yaml:"password_env"`
		Realm              string    `yaml:"realm"`
		Keytab             string    `yaml:"keytab"`
		CCache             string    `yaml:"ccache"`
		Krb5Conf           string    `yaml:"krb5_conf"`
		AllowBasicOverHTTP bool      `yaml:"allow_basic_over_http"`
		TURN               *planTURN `yaml:"turn"`
		line               int
	}
)

// UnmarshalYAML keeps the line, for what is wrong with the values.
func (c *planCell) UnmarshalYAML(n *yaml.Node) error {
	type plain planCell
	c.line = n.Line
	return strict(n, (*plain)(c))
}

// UnmarshalYAML keeps the line.
func (t *planTURN) UnmarshalYAML(n *yaml.Node) error {
	type plain planTURN
	t.line = n.Line
	return strict(n, (*plain)(t))
}

// strict decodes a mapping and reports keys that the struct has not: a Decoder's KnownFields does not
// reach through UnmarshalYAML.
func strict(n *yaml.Node, into any) error {
	known := keysOf(into)
	var unknown []string
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if key := n.Content[i]; !slices.Contains(known, key.Value) {
			unknown = append(unknown, fmt.Sprintf("line %d: unknown key %q; known are %s", key.Line, key.Value, strings.Join(known, ", ")))
		}
	}
	if len(unknown) > 0 {
		return &yaml.TypeError{Errors: unknown}
	}
	return n.Decode(into)
}

// LoadPlan reads a plan. Its error lists everything that is wrong, with file and line.
func LoadPlan(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--plan: %w", err)
	}
	return parsePlan(path, text)
}

func parsePlan(path string, text []byte) (*Plan, error) {
	var file planFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, located(path, err)
	}
	p := &planner{path: path, file: file, names: make(map[string]int)}
	return p.plan()
}

// located puts the file's name before every line number.
func located(path string, err error) error {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var errs []error
	for _, text := range te.Errors {
		errs = append(errs, fmt.Errorf("%s: %s", path, strings.Replace(text, " in type matrix.planFile", "", 1)))
	}
	return errors.Join(errs...)
}

// planner turns the file into cells and gathers what is wrong with it.
type planner struct {
	path  string
	file  planFile
	names map[string]int // line of each
	trust *tls.Config
	errs  []error
}

func (p *planner) fail(line int, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s: line %d: %w", p.path, line, fmt.Errorf(format, args...)))
}

func (p *planner) plan() (*Plan, error) {
	if len(p.file.Cells) == 0 {
		p.fail(1, "no cells: want a list under cells")
	}
	var err error
	if p.trust, err = credentials.Trust(p.file.CA); err != nil {
		p.fail(1, "ca: %w", err)
	}
	plan := new(Plan)
	seen := make(map[string]bool)
	for i := range p.file.Cells {
		c := p.cell(&p.file.Cells[i])
		if key := c.TURN.Address + c.TURN.transport(); p.file.Direct && !seen[key] {
			seen[key] = true
			plan.cells = append(plan.cells, Cell{Name: "direct/" + c.TURN.transport() + "/" + c.TURN.Address, TURN: c.TURN, Expect: codeThrough, Measure: true})
		}
		plan.cells = append(plan.cells, c)
	}
	return plan, errors.Join(p.errs...)
}

var cellNames = regexp.MustCompile(`^[A-Za-z0-9._@+-]+(/[A-Za-z0-9._@+-]+)*$`)

func (p *planner) cell(c *planCell) Cell {
	switch first, again := p.names[c.Name]; {
	case !cellNames.MatchString(c.Name):
		p.fail(c.line, "name %q: want letters, digits and . _ @ + - in parts with slashes between", c.Name)
	case again:
		p.fail(c.line, "name %q was given in line %d already", c.Name, first)
	}
	p.names[c.Name] = c.line
	if c.Proxy == "" {
		p.fail(c.line, "cell %q names no proxy", c.Name)
	}
	auth := credentials.Spec{
		Auth: c.Auth, User: c.User, Password: p.secret(c.line, c.PasswordFile, c.PasswordEnv), Realm: c.Realm,
		Keytab: c.Keytab, CCache: c.CCache, Krb5Conf: c.Krb5Conf, AllowBasicOverHTTP: c.AllowBasicOverHTTP,
	}
	cell := Cell{Name: c.Name, Proxy: c.Proxy, Auth: auth, Expect: codeThrough, Measure: true, TURN: p.turn(c), TLS: p.trust}
	if err := checkCell(&cell); err != nil {
		p.fail(c.line, "cell %q: %w", c.Name, err)
	}
	return cell
}

// secret reads a secret from where the plan says it is.
func (p *planner) secret(line int, file, variable string) credentials.Secret {
	switch {
	case file != "" && variable != "":
		p.fail(line, "give one of password_file and password_env")
	case file != "":
		s, err := credentials.ReadSecret(file)
		if err != nil {
			p.fail(line, "password_file: %w", err)
		}
		return s
	case variable != "":
		s := credentials.Secret(os.Getenv(variable))
		if s == "" {
			p.fail(line, "password_env: the environment has no variable %s", variable)
		}
		return s
	}
	return ""
}

// turn returns the cell's TURN server, or the plan's.
func (p *planner) turn(c *planCell) (t TURN) {
	from := c.TURN
	if from == nil {
		from = p.file.TURN
	}
	if from == nil {
		p.fail(c.line, "cell %q has no turn server, and the plan neither", c.Name)
		return t
	}
	parsed, err := diagnosis.ParseTURN(from.URL)
	if err != nil {
		p.fail(from.line, "turn url %w", err)
	}
	t.Address, t.Secure, t.Config = parsed.Address, parsed.Secure, p.trust
	t.User, t.Password = from.User, p.secret(from.line, from.PasswordFile, from.PasswordEnv)
	return t
}
