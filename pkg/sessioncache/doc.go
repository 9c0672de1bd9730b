// Package sessioncache is the read cache in front of Store.Get: Get, Publish and
// Forget over ristretto, and Changed for what other replicas make. It is not a Store.
//
// The truth is the store. ristretto may drop a Set, is not read-your-write, and
// may serve an entry for a moment after Del; so a login or a rotated token never
// depends on a Set, a newer revision wins over an older one, and a logout is
// final through the ended set, which every hit consults. Forget is called after
// the end is durable and before it is answered:
//
//	durable End → ended set → Del → answer
//
// A reader that loaded the record before the End finds the id in the ended set
// after its own publish, and takes the entry out again.
package sessioncache
