//go:build !unix

package testproxy

import "io"

func copyFlow(dst io.Writer, src io.Reader) (int64, error) { return io.Copy(dst, src) }
