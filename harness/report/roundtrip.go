package report

import (
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// halved tells that an echo peer answered: delays are half of the way there and back.
func halved(r measure.Record) bool { return r.Path.Direction == measure.HalfRoundTrip }

// delayName is what stands at the head of a column of delays.
func delayName(r measure.Record) string {
	if halved(r) {
		return "RTT/2"
	}
	return "delay"
}

// wordsFor is inWords, with what delays are in that record.
func wordsFor(r measure.Record, metric string) string {
	words := inWords(metric)
	switch {
	case !halved(r):
	case strings.HasPrefix(metric, "delay_"):
		words = strings.Replace(words, "one-way delay", "RTT/2", 1)
	case strings.HasPrefix(metric, "added_"):
		words += ", of RTT/2"
	case strings.HasPrefix(metric, "late_"), strings.HasPrefix(metric, "jitter_"):
		words += ", of both ways together"
	}
	return words
}

// delayText says what delays are, for the conditions; "" of one way.
func delayText(r measure.Record) string {
	if !halved(r) {
		return ""
	}
	text := "delays are RTT/2, half of the way to an echo peer and back"
	if r.Path.Peer != "" {
		text = "delays are RTT/2, half of the way to the echo peer " + r.Path.Peer + " and back"
	}
	return text + "; late loss, jitter, stalls and freezes are of both ways together"
}

// sameDelay tells whether delays are the same thing on both sides of a comparison.
func sameDelay(a, b []measure.Record) bool {
	all := slices.Concat(a, b)
	return !slices.ContainsFunc(all, func(r measure.Record) bool { return halved(r) != halved(all[0]) })
}

// ofDelay are the figures that differ between one way and a round trip.
func ofDelay(metric string) bool {
	for _, prefix := range []string{"delay_", "added_", "late_", "jitter_", "mos_", "windows_"} {
		if strings.HasPrefix(metric, prefix) {
			return true
		}
	}
	return false
}
