package credentials

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// Ask asks for a secret on the terminal, where it is not shown, whatever standard input and output
// are. The end of ctx ends it.
func Ask(ctx context.Context, what string) (Secret, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("there is no terminal to ask on: %w", err)
	}
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		tty.Close()
		return "", fmt.Errorf("there is no terminal to ask on: %w", err)
	}
	fmt.Fprintf(tty, "%s: ", what)
	answer, failure := make(chan []byte, 1), make(chan error, 1)
	go func() { // ends with the line, or with the process: a read of a terminal cannot be ended
		defer tty.Close()
		line, err := term.ReadPassword(fd)
		fmt.Fprintln(tty)
		answer <- line
		failure <- err
	}()
	select {
	case line := <-answer:
		if err := <-failure; err != nil {
			return "", fmt.Errorf("reading the terminal: %w", err)
		}
		if len(line) == 0 || len(line) > maxSecret {
			return "", errors.New("nothing was typed, or too much")
		}
		return Secret(line), nil
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(fd, before))
	}
}
