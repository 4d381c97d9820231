package credentials

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Ask asks for a secret on the terminal, where it is not shown, whatever standard input and output
// are. The end of ctx ends it; ^C ends it with context.Canceled.
func Ask(ctx context.Context, what string) (Secret, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("there is no terminal to ask on: %w", err)
	}
	fd := int(tty.Fd())
	before, err := term.MakeRaw(fd) // before the prompt: nothing that is typed after it may show
	if err != nil {
		tty.Close()
		return "", fmt.Errorf("there is no terminal to ask on: %w", err)
	}
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() { // ends with the line, or with the process: a read of a terminal cannot be ended
		defer tty.Close()
		text, err := term.NewTerminal(tty, "").ReadPassword(what + ": ")
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		if err := restore(before); err != nil {
			return "", err
		}
		switch {
		case errors.Is(l.err, io.EOF): // ^C or ^D
			return "", context.Canceled
		case l.err != nil:
			return "", fmt.Errorf("reading the terminal: %w", l.err)
		case l.text == "" || len(l.text) > maxSecret:
			return "", errors.New("nothing was typed, or too much")
		}
		return Secret(l.text), nil
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), restore(before))
	}
}

// restore gives the terminal its settings back. What reads it may have closed its own descriptor.
func restore(before *term.State) error {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer tty.Close()
	return term.Restore(int(tty.Fd()), before)
}
