// Package chart draws line charts as SVG that takes its colours from the page around it: every mark
// has a class instead of a colour, and a <title> that shows when it is pointed at.
//
//	svg := chart.Chart{Label: "delay by load", X: chart.Axis{Label: "calls"}, Y: chart.Axis{Label: "ms"},
//		Series: []chart.Series{{Class: "one", Points: points}}}.SVG()
//
// Scales, ticks and layout are gonum/plot's; this package gives it a canvas. It knows nothing of what
// the figures mean, and it draws neither legends nor headings: these are the page's.
//
// The page must style: the shapes .stroke and .fill, the texts .words, and a colour for every class
// used, "frame" and "grid" among them.
package chart
