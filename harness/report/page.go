package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/turngate/turngate/harness/measure"
)

// A page is what the template puts into HTML. All of its texts are escaped there.
type page struct {
	Title, Headline, Kind string
	Verdict               measure.Verdict
	Partial               bool
	Reasons               []string
	When                  string
	Tiles                 []tile
	Sections              []section
	Foot                  string
	Style                 template.CSS
	Policy                string
}

// A tile is one figure in large print.
type tile struct{ Value, Label, Note, Class string }

// A section is a part of the page. Empty parts are left out.
type section struct {
	Heading string
	Lead    string
	Charts  []drawing
	Tables  []table
	Items   []string
}

func (s section) empty() bool { return len(s.Charts)+len(s.Tables)+len(s.Items) == 0 && s.Lead == "" }

// A drawing is a chart with its heading and legend.
type drawing struct {
	Heading, Note string
	Legend        []swatch
	SVG           template.HTML // of package chart, which escapes all that it is given
	Across        bool          // as wide as the page
}

type swatch struct{ Class, Text string }

type table struct {
	Caption string
	Head    []cell
	Rows    [][]cell
}

// A cell is right-aligned if it is a number.
type cell struct{ Text, Class, Title string }

func text(s string) cell { return cell{Text: s} }
func num(s string) cell  { return cell{Text: s, Class: "num"} }

func verdictCell(v measure.Verdict) cell {
	if v == "" {
		return cell{}
	}
	return cell{Text: string(v), Class: "verdict " + string(v)}
}

// heads are column titles; those that begin with # stand over numbers.
func heads(names ...string) (list []cell) {
	for _, n := range names {
		if len(n) > 0 && n[0] == '#' {
			list = append(list, num(n[1:]))
			continue
		}
		list = append(list, text(n))
	}
	return list
}

var (
	//go:embed page.css
	style string
	//go:embed page.html
	pageHTML     string
	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// policy allows the page nothing but its own style, known by its hash: no script, no request, no form.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", base64.StdEncoding.EncodeToString(sum[:]))
}

func (p page) write(w io.Writer) error {
	p.Style, p.Policy = template.CSS(style), policy()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
