package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/conformance"
)

// A column is a server's results, over TCP and over TLS.
type column struct {
	name     string
	tcp, tls conformance.Report
	kept     map[string]string // outcomes of slow tests from an older table
}

// find returns the result over TCP, which may be changed.
func (c *column) find(id string) *conformance.Result { return find(&c.tcp, id) }

func find(r *conformance.Report, id string) *conformance.Result {
	for i := range r.Results {
		if r.Results[i].ID == id {
			return &r.Results[i]
		}
	}
	return nil
}

// outcome is that over TCP. The tests of TLS itself have one over TLS only; where another one differs, it says so.
func (c *column) outcome(id string) string {
	plain, secure := c.find(id), find(&c.tls, id)
	switch {
	case plain == nil:
		return strings.Trim(c.kept[id], "*")
	case secure == nil:
		return string(plain.Outcome)
	case strings.HasPrefix(id, "tls."):
		return string(secure.Outcome)
	case !hasTransport(id) || plain.Outcome == secure.Outcome:
		return string(plain.Outcome)
	}
	return fmt.Sprintf("%s, over TLS %s", plain.Outcome, secure.Outcome)
}

// hasTransport tells whether a test is the same over either transport: the quota has a server of its own, and
// there is no UDP beside the port for TLS.
func hasTransport(id string) bool { return id != "allocate.quota" && id != "tcp.over-udp" }

// table is the Markdown of all columns. What is well is plain, so that the rest meets the eye.
func table(columns []column) []byte {
	var b bytes.Buffer
	b.WriteString("| test | level | section | what a server does |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n|---|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, r := range columns[0].tests() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |", r.ID, r.Level, r.Section, strings.ReplaceAll(r.Text, "|", `\|`))
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", emphasis(c.outcome(r.ID)))
		}
		b.WriteString("\n")
	}
	fmt.Fprint(&b, "| **MUSTs that fail** | | | |")
	for _, c := range columns {
		fmt.Fprintf(&b, " **%d** |", c.violations())
	}
	b.WriteString("\n")
	return b.Bytes()
}

// tests are those that were run or kept.
func (c *column) tests() (tests []conformance.Test) {
	for _, test := range conformance.Tests() {
		if c.outcome(test.ID) != "" {
			tests = append(tests, test)
		}
	}
	return tests
}

// readColumn reads a server's outcomes from a document that holds a table, by test id.
func readColumn(document []byte, name string) (map[string]string, error) {
	_, rest, _ := strings.Cut(string(document), begin+"\n")
	generated, _, ok := strings.Cut(rest, end)
	if !ok {
		return nil, errors.New("the markers are missing")
	}
	outcomes := make(map[string]string)
	at := -1
	for row := range strings.Lines(generated) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case at < 0:
			at = slices.Index(cells, name)
		case at < len(cells) && strings.Contains(cells[0], "."):
			outcomes[cells[0]] = cells[at]
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("the table has no column %s", name)
	}
	return outcomes, nil
}

func emphasis(outcome string) string {
	if strings.Contains(outcome, string(conformance.Fail)) {
		return "**" + outcome + "**"
	}
	return outcome
}

// violations counts the MUSTs that fail over either transport.
func (c *column) violations() (n int) {
	for _, r := range c.tests() {
		if r.Level == conformance.Must && strings.Contains(c.outcome(r.ID), string(conformance.Fail)) {
			n++
		}
	}
	return n
}

// explain writes why what did not pass did not.
func (c *column) explain(w io.Writer) error {
	fmt.Fprintf(w, "\n== %s over TCP\n", c.name)
	if err := conformance.Text(w, c.tcp); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n== %s over TLS\n", c.name)
	return conformance.Text(w, c.tls)
}
