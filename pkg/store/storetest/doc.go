// Package storetest holds a backend of the store contract to every promise in
// the comments of store.Store and store.Index: one named subtest a promise, for
// one caller and for many at once, across restarts and as time goes by.
//
// A backend's test is one line:
//
//	storetest.Run(t, storetest.Backend{Open: ..., Restart: ...})
//
// # How the suite itself is tested
//
// A test that cannot fail promises nothing. The suite's own tests run each
// check against a store with exactly one promise broken and demand that the
// check fails; a check without such a store does not get in.
package storetest
