// Package authz is the Envoy side: it answers ext_authz v3 Checks.
//
// A Check on a Fresh session is: find the handle in the Cookie header, one
// look-up, one answer. Everything else is what happens when something is
// missing, in this order: the relying party's own paths, the rule of the path,
// the handle, the session, its use, the age of its token.
//
//	request.go   what Envoy says of the request
//	guard.go     the header names that a client must not supply, in any spelling
//	rules.go     which paths need what
//	decide.go    pure: request, session, time → decision
//	server.go    the effects between decisions: look up, record the use, refresh
//	identity.go  what upstream is told of a session, prepared once
//	response.go  decision → CheckResponse, one constructor for OK and one for denied
//	page.go      the answers that we write ourselves
//	rphandler.go the relying party's http.Handler, run inside a Check
//
// # Fail closed
//
// Only status.code decides in Envoy, and an empty CheckResponse is an allow. So
// there is one place that writes code OK, and whatever goes wrong, a panic
// included, ends in the other one: the zero decision is a denial. An error is
// never a gRPC error either: Envoy would drop its body and, under a retry
// policy, ask again.
//
// # What upstream may believe
//
// On every request that passes, with or without a session: authorization and
// the identity headers are ours or absent, whatever punctuation the client wrote
// into their names, and no cookie of ours is left. The one exception is the
// rule's bearer mode pass, which lets one Bearer credential of the client
// through where no session is.
//
// # Cross-site requests
//
// A request with a session that may change something (any method but GET, HEAD
// and OPTIONS) or asks for an upgrade (WebSocket) must come from a page of our
// own origin: Sec-Fetch-Site same-origin or none, else Origin equal to
// ExternalURL's. A sibling subdomain (same-site) is another origin and is
// refused: SameSite=Lax does not keep it out. A client that sends neither header
// is no browser and passes.
package authz
