// Package echo is the API behind the gateway in tests and in the demo: it
// answers with the request as it arrived, so that a test sees what Envoy let
// through and a reader sees the bearer.
//
// Header names are lower case, as Envoy writes them. Every header line is a
// value of its own, in the order of the wire; the order between names is not
// kept.
package echo
