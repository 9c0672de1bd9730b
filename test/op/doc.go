// Package op is the development OpenID Provider: a complete one, in memory, as
// an http.Handler, on the provider half of github.com/zitadel/oidc.
//
// People use it through cmd/devop, where logging in takes one field. Tests use
// it as the judge of this repository's promise: it takes every refresh token
// once, and when a spent one comes back it revokes the whole family, which is
// every token of that login. A relying party that refreshes twice does not
// merely count wrong here, it is logged out.
//
// # The ledger
//
// [Ledger], at GET /_ledger, holds what arrived at the token endpoint, what was
// answered, and which generation of which family was consumed. Every POST is
// written down on arrival, so one that is held or whose caller hangs up counts
// too. Families are called f1, f2, …; no token and no user name is ever in it.
//
// # Faults
//
// [Fault], set by [Provider.SetFault] or POST /_control, delays, holds or
// refuses token requests. The point where it strikes is what matters to a
// caller: before the token is consumed, or after it with the answer lost.
//
// # Time
//
// Everything follows time.Now and nothing runs in the background, so a Provider
// made inside a testing/synctest bubble lives in fake time. There it is reached
// through [Provider.RoundTripper]; [Provider.Close] ends what is still held.
package op
