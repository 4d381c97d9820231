// Package sizing turns measurements of a proxy into a number of proxies. It is pure: it measures
// nothing, knows no clock, and every figure it returns follows from what it was given.
//
//	s := sizing.NewSearch(sizing.SearchConfig{First: 8, Most: 500})
//	for req, more := s.Next(); more; req, more = s.Next() {
//		s.Report(req, measure(req))
//	}
//	model, err := sizing.Fit(points)                     // what a load costs in CPU
//	answer := sizing.Size(sizing.Proxy{...}, demand)     // how many proxies
//
// A capacity that was measured and a cost that was fitted are different things: the first holds for
// the calls it was measured with, the second for any mix within the range of its steps.
package sizing
