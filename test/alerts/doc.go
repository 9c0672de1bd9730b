// Package alerts holds the chart's alerts and dashboard against the product: a
// real Prometheus scrapes it with the rules loaded, while it is well and while
// what an alert is for happens to it. What the product cannot be brought to do is
// left to promtool. A minute of the rules is three seconds here, and nothing else
// about them is changed.
//
// The tests have the build tag "alerts", and a make target of their own; go test
// ./... leaves them out.
package alerts
