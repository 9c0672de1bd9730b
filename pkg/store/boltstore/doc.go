// Package boltstore is the embedded store of record: one bbolt file, one
// process.
//
// Writes go through one committer, which takes whatever is queued into one
// transaction: a write is answered when that transaction is on disk, and many
// writers share one fsync. Reads copy the bytes out of a short read transaction
// and open the seal outside it.
//
// When a session is due and when it was last used is kept in memory, and
// rebuilt at open from the plain part of the records and a small bucket of last
// uses. An open attempt belongs to a live owner if it began in this process:
// the file lock proves that every other owner is dead.
//
// A damaged file is found before it is opened to be written: every page that
// bbolt can reach is read and checked here first, since bbolt reads them through
// a memory map without bounds, some of them in goroutines of its own where a
// panic or a fault ends the process. A damaged file is set aside, not repaired:
// what cannot be read may not be guessed. A sound file may still hold a record
// whose bytes have changed, or whose key is missing: that one is unavailable.
package boltstore
