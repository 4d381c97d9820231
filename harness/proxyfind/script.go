package proxyfind

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
)

// A world is all that a script can learn of ours.
type world struct {
	now       func() time.Time
	lookup    func(name string) []netip.Addr
	alert     func(text string)
	addresses []netip.Addr
}

// A script is a JavaScript engine with the helper functions of PAC files.
type script struct {
	vm    *goja.Runtime
	world world
	known map[string][]netip.Addr // names asked before
}

// maxDepth bounds the calls under way, so that an endless recursion is an error of the script.
const maxDepth = 2000

func newScript(w world) *script {
	s := &script{vm: goja.New(), world: w, known: make(map[string][]netip.Addr)}
	s.vm.SetMaxCallStackSize(maxDepth)
	s.vm.SetTimeSource(w.now)
	s.vm.SetParserOptions(parser.WithDisableSourceMaps) // which would read files
	for name, f := range s.helpers() {
		if err := s.vm.Set(name, f); err != nil {
			panic(err) // the engine is new and its global object extensible
		}
	}
	return s
}

// ask runs the script and then its FindProxyForURL.
func (s *script) ask(text, url, host string) (string, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		return "", &Error{Failure: NotScript, Line: 1, Err: fmt.Errorf("it begins as a web page does: %q", clip(firstLine(text)))}
	}
	ast, err := parser.ParseFile(nil, "", text, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return "", syntaxError(err)
	}
	program, err := goja.CompileAST(ast, false)
	if err != nil {
		return "", syntaxError(err)
	}
	if _, err := s.vm.RunProgram(program); err != nil {
		return "", scriptError(err)
	}
	find, ok := goja.AssertFunction(s.vm.Get("FindProxyForURL"))
	if !ok {
		return "", &Error{Failure: ScriptError, Err: errors.New("it has no function FindProxyForURL")}
	}
	value, err := find(goja.Undefined(), s.vm.ToValue(url), s.vm.ToValue(host))
	if err != nil {
		return "", scriptError(err)
	}
	if _, ok := value.Export().(string); !ok {
		return "", &Error{Failure: NothingToUse, Err: fmt.Errorf("FindProxyForURL(%q) returns %s, not a string", url, clip(value.String()))}
	}
	return value.String(), nil
}

// interrupt ends the script with an error as soon as it runs its next instruction.
func (s *script) interrupt(why error) { s.vm.Interrupt(why) }

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func syntaxError(err error) error {
	e := &Error{Failure: NotScript, Err: err}
	var list parser.ErrorList
	var compiler *goja.CompilerSyntaxError
	switch {
	case errors.As(err, &list) && len(list) > 0:
		e.Line, e.Err = list[0].Position.Line, errors.New(list[0].Message)
	case errors.As(err, &compiler) && compiler.File != nil:
		e.Line, e.Err = compiler.File.Position(compiler.Offset).Line, errors.New(compiler.Message)
	}
	return e
}

// scriptError tells the script's own errors from our interruption.
func scriptError(err error) error {
	var stopped *Error
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var thrown *goja.Exception
	switch {
	case errors.As(err, &interrupted) && errors.As(err, &stopped):
		return &Error{Failure: Stopped, Line: lineIn(interrupted.Stack()), Err: stopped.Err}
	case errors.As(err, &overflow):
		return &Error{Failure: ScriptError, Line: lineIn(overflow.Stack()), Err: fmt.Errorf("more than %d calls under way: an endless recursion", maxDepth)}
	case errors.As(err, &thrown):
		return &Error{Failure: ScriptError, Line: lineIn(thrown.Stack()), Err: errors.New(thrown.Value().String())}
	}
	return &Error{Failure: ScriptError, Err: err}
}

// lineIn is the innermost line of the script, not of our functions. A loop that holds no statement has
// the line of its function.
func lineIn(stack []goja.StackFrame) int {
	for _, frame := range stack {
		if p := frame.Position(); p != (file.Position{}) {
			return p.Line
		}
	}
	return 0
}
