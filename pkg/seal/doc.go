// Package seal encrypts and authenticates what leaves the process and must come
// back unread and unchanged: session records in the store, the login attempt in
// the browser.
//
// A [Keyring] holds one or more 256-bit keys from a file. The first seals, all
// open: to rotate, put a new line first and drop the old one when nothing sealed
// under it is left. Nothing is encrypted under a file key itself. [Keyring.For]
// derives, with HKDF-SHA256 (RFC 5869), a [Box] for one purpose, so that a value
// sealed for one purpose does not open for another.
//
// A Box seals with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): its nonce of 24
// bytes is long enough to be drawn at random for every value, by any number of
// processes that share the key. A Box also computes a keyed hash, to look up a
// name without storing it.
package seal
