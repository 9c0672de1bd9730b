// Package manifest renders what others have to be told, so that lamplighter works
// with them, from lamplighter's own configuration: the two never disagree.
//
// Envoy is told where Checks go and how long they may take, which headers no client
// may send, and which paths are lamplighter's. envoy/bootstrap.yaml is what comes of
// the defaults.
package manifest
