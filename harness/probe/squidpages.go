package probe

import (
	"strconv"
	"strings"
)

// counterNames are ours for Squid's counters, and what one of its units is in ours.
var counterNames = map[string]struct {
	name string
	unit float64
}{
	"cpu_time":              {"squid.cpu_cores", 1},
	"client_http.requests":  {"squid.requests_per_s", 1},
	"client_http.errors":    {"squid.errors_per_s", 1},
	"client_http.kbytes_in": {"squid.client_mbps_in", 1024 * 8 / 1e6}, "client_http.kbytes_out": {"squid.client_mbps_out", 1024 * 8 / 1e6},
	"server.all.requests":  {"squid.server_requests_per_s", 1},
	"server.all.kbytes_in": {"squid.server_mbps_in", 1024 * 8 / 1e6}, "server.all.kbytes_out": {"squid.server_mbps_out", 1024 * 8 / 1e6},
	"page_faults": {"squid.page_faults_per_s", 1},
}

// parseCounters reads lines like "client_http.requests = 12".
func parseCounters(page string, growing map[string]float64) {
	for line := range strings.Lines(page) {
		key, text, ok := strings.Cut(line, " = ")
		counter, known := counterNames[strings.TrimSpace(key)]
		if v, number := leadingNumber(text); ok && known && number {
			growing[counter.name] = v * counter.unit
		}
	}
}

// parseInfo reads lines like "Maximum number of file descriptors:   8192".
func parseInfo(page string, values map[string]float64) {
	for line := range strings.Lines(page) {
		key, text, _ := strings.Cut(strings.TrimSpace(line), ":")
		v, ok := leadingNumber(text)
		if !ok {
			continue
		}
		switch key {
		case "Maximum number of file descriptors":
			values["squid.fd_limit"] = v
		case "Number of file desc currently in use":
			values["squid.fds_in_use"] = v
		case "Reserved number of file descriptors":
			values["squid.fds_reserved"] = v
		case "Maximum Resident Size":
			values["squid.max_rss_bytes"] = v * 1024
		}
	}
}

// parseHelpers reads the page of a scheme's helpers: a few lines like "queue length: 0", then a table
// with a row for each.
func parseHelpers(page, prefix string, values, growing map[string]float64) {
	table, flags := false, 0
	values[prefix+".busy"] = 0
	for line := range strings.Lines(page) {
		if table {
			// A column without flags is blank, so they are the field before the time, or missing.
			if fields := strings.Fields(line); len(fields) > flags && isNumber(fields[0]) && strings.ContainsAny(fields[flags], "BR") {
				values[prefix+".busy"]++
			}
			continue
		}
		key, text, _ := strings.Cut(strings.TrimSpace(line), ":")
		v, ok := leadingNumber(text)
		switch {
		case strings.HasPrefix(key, "ID #"):
			table, flags = true, flagsColumn(line)
		case !ok:
		case key == "number active":
			values[prefix+".active"] = v
			if _, limit, ok := strings.Cut(text, " of "); ok {
				if v, ok := leadingNumber(limit); ok {
					values[prefix+".limit"] = v
				}
			}
		case key == "queue length":
			values[prefix+".queue"] = v
		case key == "avg service time":
			values[prefix+".service_ms"] = v
		case key == "requests sent":
			growing[prefix+".requests_per_s"] = v
		}
	}
}

// flagsColumn is the number of columns before Flags; it differs between versions.
func flagsColumn(header string) int {
	before, _, _ := strings.Cut(header, "Flags")
	n := 0
	for column := range strings.SplitSeq(before, "\t") {
		if strings.TrimSpace(column) != "" {
			n++
		}
	}
	return n
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// leadingNumber reads the number that a text begins with, "KB" or "msec" after it or not.
func leadingNumber(text string) (float64, bool) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "%"), 64)
	return v, err == nil && v == v && v >= 0 && v < 1e18
}
