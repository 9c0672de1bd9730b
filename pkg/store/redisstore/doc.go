// Package redisstore is the store of record for replicas: one Redis or Valkey,
// alone, behind Sentinel, or a Cluster.
//
// Every method is one script, which the server runs as one step. The scripts are
// the contract of package store once more, in Lua: what of it is a decision about
// the plain part of a record is made where the record is. The session itself stays
// sealed on its way and at rest; the server sees no token.
//
// Times are the server's own: an owner that goes silent is alive until its lease
// has run out and its deadline is over by two seconds, on one clock for all.
//
// # Keys
//
//	PREFIX:{nn}:session:ID   hash: head, sealed body, the attempt, the history; or a tombstone
//	PREFIX:{nn}:due          sorted set: when the sweep wants whom
//	PREFIX:{nn}:used         sorted set: last uses
//	PREFIX:{nn}:ends         sorted set: absolute ends, of tombstones too
//	PREFIX:subject:SUM       set: the sessions of a user or of an OP session
//
// nn is one of 64 shards, from the id. What is in braces places a key in a cluster,
// so a session and its place in the sets are on one server. A subject's set is
// somewhere else: it is written before the session, and every hit in it is verified.
//
// A failover may lose what was acknowledged. A revision older than one that this
// process has seen, or heard of, is not read, and a refresh of it begins in doubt. An
// end that it has seen, or heard of, stays one. A write that no replica of the server
// has in time, or whose answer is late, is made once more where the primary is then.
package redisstore
