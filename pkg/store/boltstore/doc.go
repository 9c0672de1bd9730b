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
// A damaged file is found by walking all of it read-only before it is opened,
// with memory faults turned into errors. It is set aside, not repaired: what
// cannot be read may not be guessed.
package boltstore
