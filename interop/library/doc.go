// Package library has the Go code of docs/library.md as testable examples, which import turngate as
// any other module would. TestPage holds the page and the examples together.
package library
