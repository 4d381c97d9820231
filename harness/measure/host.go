package measure

import (
	"os"
	"strconv"
	"strings"
)

// LoadAverage returns the number of processes that wanted to run over the last minute (Linux's
// /proc/loadavg): a figure taken beside more of them than there are CPUs says little. 0 where it is
// not known.
func LoadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

// CPUModel is the name of the first CPU (Linux's /proc/cpuinfo); "" where it is not known.
func CPUModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
