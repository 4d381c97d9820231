package service

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func (l *loader) number(name string, otherwise, low, high int) int {
	v, given := l.one(name)
	if !given {
		return otherwise
	}
	n, err := strconv.Atoi(v.text)
	if err != nil || n < low || n > high {
		l.fail(v, "%q: want a number from %d to %d", v.text, low, high)
	}
	return n
}

func (l *loader) duration(name string, otherwise, least, most time.Duration) time.Duration {
	v, given := l.one(name)
	if !given {
		return otherwise
	}
	d, err := time.ParseDuration(v.text)
	switch {
	case err != nil || d < 0 || d > most:
		l.fail(v, "%q: want a time such as 30s or 5m, at most %v", v.text, most)
	case d < least:
		l.fail(v, "%q: want at least %v", v.text, least)
	}
	return d
}

// leastRate is less than a call needs: what is below is a typing error, such as a forgotten M.
const leastRate = 8000

var rateUnits = map[byte]int64{'k': 1e3, 'M': 1e6, 'G': 1e9}

// rate is in bits per second; 0 for no limit.
func (l *loader) rate(name string) int64 {
	v, given := l.one(name)
	if !given {
		return 0
	}
	digits, unit := v.text, int64(1)
	if u, ok := rateUnits[v.text[len(v.text)-1]]; ok {
		digits, unit = v.text[:len(v.text)-1], u
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n*unit < leastRate || n*unit > 1e12 {
		l.fail(v, "%q: want bits per second such as 500k, 4M or 1G, at least 8k", v.text)
		return 0
	}
	return n * unit
}

// truth is false unless it is set.
func (l *loader) truth(name string) bool {
	return l.choice(name, "false", "true") == "true"
}

// choice returns one of the words; the first is the default.
func (l *loader) choice(name string, words ...string) string {
	v, given := l.one(name)
	if !given {
		return words[0]
	}
	if !slices.Contains(words, v.text) {
		l.fail(v, "%q: want one of %s%s", v.text, strings.Join(words, ", "), suggestion(v.text, words))
		return words[0]
	}
	return v.text
}
