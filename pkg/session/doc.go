// Package session is the kernel: the words every other package speaks.
//
// A browser holds a [Handle], 256 random bits in a cookie. The store of record
// keys the [Session] behind it by the handle's SHA-256, the [ID]: whoever reads
// the store cannot forge a cookie. A Session is an immutable value with a
// [Revision]. A refresh is its transition from revision n to n+1
// ([Session.Renew]), and it happens once.
//
// When to refresh is arithmetic on two stored facts, the instant before the
// token request was written and the lifetime the provider granted: see
// [Policy] and [Window].
//
// What came back from the token endpoint is a [Class]; what a caller may do
// after any failure is told by the error sentinels.
//
// The package imports the standard library only, does no I/O, starts no
// goroutine and never reads the clock: time is an argument.
package session
