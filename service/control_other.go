//go:build !linux

package service

import (
	"errors"
	"io/fs"
	"net"
)

// peerUID does not know here who is at the other end.
func peerUID(net.Conn) (uid, error) { return ^uid(0), errors.ErrUnsupported }

// ownedByUs refuses, so that there is no control socket: nobody could use it.
func ownedByUs(fs.FileInfo) error {
	return errors.New("a control socket needs Linux")
}
