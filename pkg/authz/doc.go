// Package authz is the Envoy side: it answers ext_authz v3 Checks.
//
// A Check on a Fresh session is: find the handle in the Cookie header, one cache
// look-up, one answer. Everything else is what happens when something is
// missing, in this order: the relying party's own paths, the rule of the path,
// the handle, the session, the age of its token.
//
//	request.go   what Envoy says of the request, read once
//	rules.go     which paths need what
//	decide.go    pure: facts → decision
//	response.go  decision → CheckResponse, one constructor for OK and one for denied
//	rphandler.go the relying party's http.Handler, run inside a Check
//
// Only status.code decides in Envoy, and an empty CheckResponse is an allow. So
// there is one place that writes code OK, and whatever goes wrong ends in the
// other one. An error is never a gRPC error either: Envoy would drop its body
// and, under a retry policy, ask again.
package authz
