// Package lifecycle begins and ends sessions: it is the only caller of
// Store.Create and Store.End. Logout, the provider's verdict, idleness and the
// absolute end all take one path:
//
//	durable End → cache forgets → the caller is answered → tokens revoked
//
// Revocation (RFC 7009) is best effort and happens behind the answer: a
// provider that is down must not keep a user signed in here.
//
// It also knows when a session was last used. That lives in process, at most
// one write a second a session, and is flushed to the store's index once a
// minute in one batch; near the idle end a use is written at once.
package lifecycle
