//go:build linux

package main

import (
	"context"
	"net/netip"
	"time"
)

// measureIdle makes many allocations, which tells how fast that goes, and lets them rest, which tells what
// memory they take.
func measureIdle(ctx context.Context, s settings, srv *server, transport string) (results, error) {
	r := result{load: "idle", way: "-"}
	// What the first ones cost is paid once: caches, threads, tables.
	warm, err := newCallers(ctx, 50, srv.addr[transport], transport, netip.AddrPort{})
	if err != nil {
		return nil, err
	}
	defer hangUp(warm)
	before, err := memory(srv.pid())
	if err != nil {
		return nil, err
	}
	cpuBefore, err := cpuTime(srv.pid())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	callers, err := newCallers(ctx, s.idle, srv.addr[transport], transport, netip.AddrPort{})
	if err != nil {
		return nil, err
	}
	defer hangUp(callers)
	r.took = time.Since(began)
	r.allocations = float64(s.idle) / r.took.Seconds()
	cpu, err := cpuTime(srv.pid())
	if err != nil {
		return nil, err
	}
	r.allocationCPU = (cpu - cpuBefore) / time.Duration(s.idle)
	select {
	case <-time.After(s.settle):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := memory(srv.pid())
	r.memory = (after - before) / s.idle
	return results{r}, err
}
