package testproxy

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// refusalFaults change how the 407 is written.
var refusalFaults = []faultSpec{
	{FaultInfo{"407.close", "", 5, "every 407 has Connection: close and ends the connection"},
		always(on407(func(r *response) { r.close = true }))},
	{FaultInfo{"407.silent-close", "", 5, "every 407 says keep-alive, and the connection ends nevertheless"},
		always(on407(func(r *response) { r.hangUp = true }))},
	{FaultInfo{"407.http10", "", 6, "every 407 is HTTP/1.0 and ends the connection, as tinyproxy's"},
		always(on407(func(r *response) { r.proto, r.close = "HTTP/1.0", true }))},
	{FaultInfo{"407.slow", "2s", 46, "every 407 comes this late"},
		withDuration(func(d time.Duration) hooks { return on407(func(r *response) { r.delay = d }) })},
	{FaultInfo{"407.chunked", "", 35, "the body of the 407 is chunked, with extensions and a trailer"},
		always(on407(func(r *response) { r.framing = byChunks }))},
	{FaultInfo{"407.no-length", "", 34, "the body of the 407 ends with the connection"},
		always(on407(func(r *response) { r.framing = byClose }))},
	{FaultInfo{"407.huge-body", "8388608", 35, "the body of the 407 has so many bytes"},
		withNumber(1, 1<<30, func(n int) hooks {
			return on407(func(r *response) { r.body = bytes.Repeat([]byte{'x'}, n) })
		})},
	{FaultInfo{"407.one-field", "", 38, "all challenges in one Proxy-Authenticate field, separated by commas, scheme names in mixed case"},
		always(on407(joinChallenges))},
	{FaultInfo{"407.no-scheme", "", 0, "a 407 without Proxy-Authenticate"},
		always(on407(func(r *response) { r.del("Proxy-Authenticate") }))},
	{FaultInfo{"401", "", 3, "rejected credentials get 401 and the end of the connection, as from tinyproxy"},
		always(on407(unauthorized))},
}

func joinChallenges(r *response) {
	var joined []string
	for _, challenge := range r.del("Proxy-Authenticate") {
		scheme, params, found := strings.Cut(challenge, " ")
		if challenge = mixedCase(scheme); found {
			challenge += " " + params
		}
		joined = append(joined, challenge)
	}
	if len(joined) > 0 {
		r.add("pRoXy-aUtHeNtIcAtE", strings.Join(joined, " , "))
	}
}

func mixedCase(s string) string {
	b := []byte(strings.ToLower(s))
	for i := 1; i < len(b); i += 2 {
		b[i] = bytes.ToUpper(b[i : i+1])[0]
	}
	return string(b)
}

func unauthorized(r *response) {
	if r.v.err == nil {
		return
	}
	r.del("Proxy-Authenticate")
	r.status, r.reason, r.close = http.StatusUnauthorized, http.StatusText(http.StatusUnauthorized), true
}
