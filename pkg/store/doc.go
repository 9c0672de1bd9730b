// Package store is the contract of the store of record, the pure transitions
// that every backend without scripts of its own shares, and the record codec.
//
// # One step at a time
//
// Everything that happens to a session is one linearizable step of [Store] on
// one record: Create, Begin, Extend, Commit, Fail, End. A refresh is Begin, one
// token request, Commit. Begin writes the intent durably before the request
// leaves, so a process that dies half-way leaves an open attempt behind, and
// whoever finds it knows that the refresh token may be spent: the session is in
// doubt until ReplayAt.
//
// The steps are pure functions on [Record] in transition.go; a backend adds
// durability, exclusion and a clock. [DueIndex] is the in-memory due index of
// the backends that live in one process.
//
// # From store to store
//
// [Copy] brings all that one store has into another, by way of [Index].List and
// [Importer]: with revisions, doubts and tombstones, so that what was promised of a
// session holds on. The first must not be served any more.
//
// # What each backend must prove
//
// Every promise in the comments of [Store], [Index] and [Importer] has a test in storetest,
// and each test is shown to fail against a store that breaks the promise.
package store
