//go:build !unix

package measure

// Kernel is "" where it is not known.
func Kernel() string { return "" }
