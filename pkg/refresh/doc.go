// Package refresh is the heart: it takes a session from revision n to n+1,
// once, whoever asks.
//
// Requests, the sweep and an operator are doors into one room. Whoever comes
// first opens a flight for the session; everybody else joins it. A flight is, in
// order:
//
//	jitter → a slot under the in-flight cap → the gate → Store.Begin
//	→ one POST to the token endpoint → Store.Commit → cache and waiters
//
// The gate (gate.go) is shut while the provider fails every request, or asks by
// Retry-After to be left alone; when it opens again, slots come back slowly.
//
// Three things make it once. In this process the flight map: one flight a
// session, and a flight whose POST was written stays in the map until the store
// has acknowledged Commit, Fail or End. Across processes and crashes
// Store.Begin: lease and intent are durable before the POST. Against a late
// reader the revision: Begin names the revision it means to replace.
//
// A flight that has begun belongs to nobody who waits for it. It runs to its own
// deadline; a waiter that leaves only leaves; Stop waits for it. One that still
// queues for a slot goes with its last waiter.
//
// What an answer does to the session is one pure function, effectOf, in
// effect.go, by the provider's profile; how long to wait is arithmetic in
// backoff.go. A failed refresh ends a session only on the provider's verdict, or
// under the replay policy "never". What does not fit is told by fit.go.
package refresh
