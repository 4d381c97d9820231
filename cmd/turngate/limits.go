package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/lab/testproxy"
)

// limits are the flag --limit of lab.
type limits struct{ testproxy.Limits }

// UnmarshalText reads "mbps=10,delay=20ms".
func (l *limits) UnmarshalText(text []byte) error {
	for item := range strings.SplitSeq(string(text), ",") {
		name, value, _ := strings.Cut(item, "=")
		if err := l.set(name, value); err != nil {
			return fmt.Errorf("%q: %w", item, err)
		}
	}
	if (l.Helpers > 0) != (l.HelperTime > 0) {
		return errors.New("give both helpers and helper-time")
	}
	return nil
}

func (l *limits) set(name, value string) (err error) {
	switch name {
	case "mbps":
		l.Mbps, err = strconv.ParseFloat(value, 64)
		err = positive(err, l.Mbps > 0)
	case "delay":
		l.Delay, err = time.ParseDuration(value)
		err = positive(err, l.Delay > 0)
	case "tunnels":
		l.Tunnels, err = strconv.Atoi(value)
		err = positive(err, l.Tunnels > 0)
	case "helpers":
		l.Helpers, err = strconv.Atoi(value)
		err = positive(err, l.Helpers > 0)
	case "helper-time":
		l.HelperTime, err = time.ParseDuration(value)
		err = positive(err, l.HelperTime > 0)
	default:
		err = errors.New("want mbps, delay, tunnels, helpers or helper-time")
	}
	return err
}

func positive(err error, ok bool) error {
	if err == nil && !ok {
		return errors.New("want more than 0")
	}
	return err
}
