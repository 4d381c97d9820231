package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/turngate/turngate/harness/proxyfind"
)

// asProgram makes the test binary be turngate, for tests that need a process of its own.
const asProgram = "TURNGATE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) == 2 && os.Args[1] == proxyfind.ChildCommand {
		main()
	}
	testscript.Main(m, map[string]func(){"turngate": main})
}

// The command line as it is typed; see testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command that must end with the exit status: exits 2 turngate matrix --no-such-flag.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status command...")
	}
	status := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		status = strconv.Itoa(exit.ExitCode())
	}
	if status != args[0] {
		ts.Fatalf("%s ended with exit status %s, want %s", strings.Join(args[1:], " "), status, args[0])
	}
}
