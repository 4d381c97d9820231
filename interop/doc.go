// Package interop holds tests that run turngate against programs of others that its own module
// must not depend on: pion/webrtc as a peer behind a proxy, and clients made with pion/turn v2,
// which the server has to get along with and the binary must never link.
//
// The folder library has the examples of docs/library.md, compiled and run from here, from outside
// the main module, as a user's are.
package interop
