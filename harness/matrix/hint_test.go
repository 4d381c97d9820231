package matrix

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/turngate/turngate/proxyconnect"
)

// Every code has a hint, except that of success.
func TestEveryCodeHasAHint(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "classify.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "code") {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			codes++
			code, _ := strconv.Unquote(literal.Value)
			if hints[code] == "" {
				t.Errorf("%s (%q) has no hint", spec.Names[0].Name, code)
			}
		}
		return true
	})
	if codes < 10 || codes != len(hints) {
		t.Errorf("%d codes and %d hints", codes, len(hints))
	}
}

func TestHint(t *testing.T) {
	err := &proxyconnect.ConnectError{Stage: proxyconnect.StageConnect, Err: proxyconnect.ErrRefused}
	if got := Hint(err); !strings.Contains(got, "port 443") {
		t.Errorf("refused: got %q", got)
	}
	if got := Hint(nil); got != "" {
		t.Errorf("no error: got %q", got)
	}
	if got := Hint(errors.New("x")); got == "" {
		t.Error("any error: got no hint")
	}
}
