//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

func (b *bench) uclient(ctx context.Context) error {
	fmt.Printf("| round | program | sent/s | received/s | lateness p50 | p99 | max | CPU | CPU per packet |\n|---|---|---|---|---|---|---|---|---|\n")
	for round := range b.rounds {
		if err := b.uclientRow(ctx, round+1, 100, 5, 80); err != nil {
			return err
		}
	}
	fmt.Println()
	return nil
}

var total = regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`)

// uclientRow has coturn's client send: so many clients a message of size bytes every so many
// milliseconds to each other's relays, by channels, over TCP.
func (b *bench) uclientRow(ctx context.Context, round, clients, every, size int) error {
	path := peers.Find("turnutils_uclient")
	if path == "" {
		return errors.New("turnutils_uclient is not on this machine (scripts/peers.sh installs it)")
	}
	port, stop, err := b.server(ctx)
	if err != nil {
		return err
	}
	defer stop()
	messages := b.seconds * 1000 / every
	cmd := exec.CommandContext(ctx, path, "-t", "-y", "-c", "-u", user, "-w", password, "-p", port,
		"-m", strconv.Itoa(clients), "-n", strconv.Itoa(messages), "-z", strconv.Itoa(every), "-l", strconv.Itoa(size), "127.0.0.1")
	out, err := cmd.CombinedOutput()
	found := total.FindAllStringSubmatch(string(out), -1)
	if len(found) == 0 {
		return fmt.Errorf("turnutils_uclient: %w: %s", err, out[max(0, len(out)-500):])
	}
	var sent, received, most int // most received in a second; its clients begin one after the other
	for _, line := range found {
		before := received
		sent, _ = strconv.Atoi(line[1])
		received, _ = strconv.Atoi(line[2])
		most = max(most, received-before)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("| %d | turnutils_uclient | | %d in its best second, %d of %d in all | not told | | | %.2f s | %.1f us, set-up included |\n", round, most, received, sent,
		cpu.Seconds(), float64(cpu.Microseconds())/float64(max(1, received)))
	return nil
}

// The user of the server that is started for it.
const user, password = "bench", "bench-on-loopback"

// server starts turngate serve in a process of its own, with the channel numbers of coturn's client, and
// returns its port.
func (b *bench) server(ctx context.Context) (port string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "genbench-")
	if err != nil {
		return "", nil, err
	}
	users := filepath.Join(dir, "users")
	if err := os.WriteFile(users, []byte(user+":"+password+"\n"), 0o600); err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(b.turngate, "serve", "--listen", "tcp://"+address, "--realm", "bench", "--users", users, "--relay-ip", "127.0.0.1", "--old-channels", "--drain-timeout", "1ms")
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // how it ends does not matter here
		_ = cmd.Wait()
		os.RemoveAll(dir)
	}
	for range 100 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			_, port, _ = net.SplitHostPort(address)
			return port, stop, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	stop()
	return "", nil, errors.New("turngate serve does not listen")
}
