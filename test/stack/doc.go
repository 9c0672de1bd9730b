// Package stack starts the whole product on loopback for a test: the
// development OpenID Provider, an echo app, the real lamplighter binary as its
// own process, and a real Envoy in front. A [Browser] then does what browsers do.
//
// Everything is stopped when the test ends; when it failed, the logs are shown.
package stack
