package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/harness/sizing"
)

// squids are real ones. Of 256 descriptors Squid keeps 64 in reserve and has 17 at rest, and a tunnel
// takes two. A delay pool limits what comes from servers. Kerberos asks a helper once per tunnel.
func squids() []known {
	const descriptors, reserve, atRest = 256, 64, 17
	const bytesPerSecond = 3_000_000
	const helpers, helperTime = 2, 0.1
	return []known{
		{name: "squid, descriptors", args: []string{"--profile", "audio"}, squid: lab.SchemeBasic,
			lines: []string{fmt.Sprintf("max_filedescriptors %d", descriptors)},
			truth: (descriptors - reserve - atRest) / 2, unit: "calls", found: calls, named: gaveWay, want: sizing.DescriptorLimit},
		{name: "squid, delay pool", args: []string{"--profile", "720p"}, squid: lab.SchemeBasic,
			lines: []string{"delay_pools 1", "delay_class 1 1", fmt.Sprintf("delay_parameters 1 %d/%d", bytesPerSecond, bytesPerSecond), "delay_access 1 allow all"},
			truth: bytesPerSecond * 8 / 1e6 / eachWay("720p"), unit: "calls", found: calls, named: gaveWay, want: sizing.Throughput},
		{name: "squid, helpers", args: []string{"--profile", "audio", "--concurrent-calls", "100", "--joins-in-busiest-minute", "3000"}, squid: lab.SchemeKerberos,
			lines: []string{fmt.Sprintf("auth_param negotiate program SLOW %g {{.Negotiate}}", helperTime), fmt.Sprintf("auth_param negotiate children %d startup=%[1]d idle=0", helpers)},
			truth: helpers / helperTime, unit: "tunnels/s", found: logins, named: binding, want: sizing.ConnectRate + ", " + sizing.HelperQueue},
	}
}

// slowHelper passes lines on to a helper, each some time after it came.
const slowHelper = `#!/bin/sh
delay=$1; shift
while IFS= read -r line; do sleep "$delay"; printf '%s\n' "$line"; done | "$@"
`

// startSquid starts the lab's real Squid with a TURN server, and returns the flags that lead there.
func (k *known) startSquid(ctx context.Context, program, dir string) (way []string, end func(), err error) {
	slow, document := filepath.Join(dir, "slow"), filepath.Join(dir, "lab.json")
	// Squid runs as another user.
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(slow, []byte(slowHelper), 0o755), os.RemoveAll(document)); err != nil {
		return nil, nil, err
	}
	args := []string{"lab", "--lab", "real", "--only", k.squid, "--while-stdin", "--json", document}
	for _, line := range k.lines {
		args = append(args, "--squid-line", strings.ReplaceAll(line, "SLOW", slow))
	}
	cmd := exec.CommandContext(ctx, program, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end = func() {
		stdin.Close()
		_ = cmd.Wait() // what it said stands on standard error
	}
	d, err := awaitDocument(ctx, document)
	if err != nil {
		end()
		return nil, nil, err
	}
	p := d.Proxies[0]
	return []string{"--proxy", p.URL, "--auth", k.squid, "--proxy-user", d.User, "--proxy-password-file", d.PasswordFile, "--realm", d.Realm, "--krb5-conf", d.Krb5Conf,
		"--turn", "turn:" + d.TURN.TCP + "?transport=tcp", "--turn-user", d.TURN.User, "--turn-password-file", d.TURN.PasswordFile,
		"--proxy-pid", fmt.Sprint(p.PID), "--squid-manager", p.URL}, end, nil
}

// awaitDocument waits for what a lab writes when it runs.
func awaitDocument(ctx context.Context, path string) (d lab.Document, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		text, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(text, &d) == nil && len(d.Proxies) > 0 {
			return d, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return d, fmt.Errorf("the lab with a real Squid has not started: %w", context.Cause(ctx))
		}
	}
}
