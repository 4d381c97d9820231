package conformance

import "github.com/pion/stun/v4"

// The lifetime is the greater of the server's default and what the client wishes, but at most the server's
// maximum (RFC 8656 sections 7.2 and 8.2). Both are the server's to choose, so the tests compare its answers.
var lifetimeTests = []Test{
	{"lifetime.allocate-default", Should, "RFC 8656 3.2", "the default lifetime of an allocation is 600 seconds", false, lifetimeDefault},
	{"lifetime.allocate-short", Must, "RFC 8656 7.2", "an Allocate with a shorter lifetime than the default gets the default", false, lifetimeAllocateShort(60)},
	{"lifetime.allocate-zero", Must, "RFC 8656 7.2", "an Allocate with lifetime 0 gets the default", false, lifetimeAllocateShort(0)},
	{"lifetime.allocate-long", Must, "RFC 8656 7.2", "an Allocate with a longer lifetime than the maximum gets the maximum", false, lifetimeAllocateLong},
	{"lifetime.maximum", Should, "RFC 8656 7.2", "the maximum lifetime is at most 3600 seconds", false, lifetimeMaximum},
	{"lifetime.refresh-default", Must, "RFC 8656 8.2", "a Refresh without LIFETIME gets the default", false, lifetimeRefreshDefault},
	{"lifetime.refresh-short", Must, "RFC 8656 8.2", "a Refresh with a shorter lifetime than the default gets the default", false, lifetimeRefreshShort},
	{"lifetime.refresh-long", Must, "RFC 8656 8.2", "a Refresh with a longer lifetime than the maximum gets the maximum", false, lifetimeRefreshLong},
}

// Lifetimes in seconds that are within what servers grant, and beyond it.
const (
	someLifetime = 1200
	longLifetime = 7200
	tooLong      = 0xFFFFFFFF
)

func lifetimeDefault(t *T) {
	if c := t.allocated(); c.lifetime != 600 {
		t.fail("Allocate without LIFETIME: want 600, got %d", c.lifetime)
	}
}

func lifetimeAllocateShort(wish uint32) func(*T) {
	return func(t *T) {
		want := t.allocated().lifetime
		if got := t.allocated(lifetime(wish)).lifetime; got != want {
			t.fail("Allocate with LIFETIME %d: want the default, %d, got %d", wish, want, got)
		}
	}
}

func lifetimeAllocateLong(t *T) {
	some := t.allocated(lifetime(someLifetime)).lifetime
	for _, wish := range []uint32{longLifetime, tooLong} {
		if got := t.allocated(lifetime(wish)).lifetime; got < some {
			t.fail("Allocate with LIFETIME %d: want at least the %d that LIFETIME %d gets, got %d", wish, some, someLifetime, got)
		}
	}
}

func lifetimeMaximum(t *T) {
	if got := t.allocated(lifetime(tooLong)).lifetime; got > 3600 {
		t.fail("Allocate with LIFETIME %d: want at most 3600, got %d", uint32(tooLong), got)
	}
}

// refreshed refreshes and returns the lifetime.
func (c *client) refreshed(attributes ...stun.Setter) uint32 {
	got, ok := seconds(c.ok(stun.MethodRefresh, attributes...))
	if !ok {
		c.t.fail("Refresh success: want LIFETIME, got none that is valid")
	}
	return got
}

func lifetimeRefreshDefault(t *T) {
	want := t.allocated().lifetime
	if got := t.allocated(lifetime(someLifetime)).refreshed(); got != want {
		t.fail("Refresh without LIFETIME: want the default, %d, got %d", want, got)
	}
}

func lifetimeRefreshShort(t *T) {
	c := t.allocated()
	if got := c.refreshed(lifetime(60)); got != c.lifetime {
		t.fail("Refresh with LIFETIME 60: want the default, %d, got %d", c.lifetime, got)
	}
}

func lifetimeRefreshLong(t *T) {
	c := t.allocated()
	some := c.refreshed(lifetime(someLifetime))
	for _, wish := range []uint32{longLifetime, tooLong} {
		if got := c.refreshed(lifetime(wish)); got < some {
			t.fail("Refresh with LIFETIME %d: want at least the %d that LIFETIME %d gets, got %d", wish, some, someLifetime, got)
		}
	}
}
