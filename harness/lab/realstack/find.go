package realstack

import (
	"os"
	"os/exec"
	"path/filepath"
)

// places are searched after PATH: distributions keep daemons, Squid's helpers, modules and libraries
// where an ordinary user's PATH does not lead.
var places = []string{
	"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin",
	"/usr/lib/squid", "/usr/lib64/squid", "/usr/libexec/squid",
	"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules",
	"/usr/lib/*-linux-gnu", "/usr/lib/*-linux-gnu/gssntlmssp", "/usr/lib/*-linux-gnu/faketime", "/usr/lib64", "/usr/lib64/gssntlmssp",
}

// find returns the path of a program, module or library by its file name, or "".
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		if abs, err := filepath.Abs(path); err == nil {
			return abs
		}
	}
	for _, place := range places {
		matches, _ := filepath.Glob(filepath.Join(place, name)) // the patterns are ours: no error
		for _, path := range matches {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path
			}
		}
	}
	return ""
}
