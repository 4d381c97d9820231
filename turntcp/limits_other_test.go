//go:build !unix

package turntcp

func limitDescriptors(uint64) error { return nil }
