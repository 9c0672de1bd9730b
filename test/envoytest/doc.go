// Package envoytest runs a real Envoy for the tests and the demo.
//
// [Install] finds one: an envoy on PATH, else the newest of the pinned builds,
// which it fetches once into the checkout's ignored folder .envoy. A missing
// Envoy is an error, and in [Binary] a failed test; it is never a reason to skip.
//
// ENVOYTEST_VERSION=1.36.4 in the environment chooses one of the pinned
// builds ([Versions]); then an envoy on PATH counts for nothing, and a version
// that is not pinned is an error that lists those that are.
//
// [Start] runs a bootstrap of this repository. The shipped file is what runs:
// it is parsed, the addresses in it are replaced (listener, app, lamplighter,
// admin), and nothing else changes unless [Options].Mutate says so. [Run] is
// Start for tests: stopped at the end, log shown on failure.
//
// Envoy never outlives its parent on Linux: the kernel kills it when the parent
// dies, even by SIGKILL.
//
// The tests of this package are the facts about Envoy that lamplighter depends
// on, held against a stub of the Check service, so that a new Envoy cannot
// change them unnoticed.
package envoytest
