// Package rp is the relying party: it turns a browser without a session into
// one with a session, and one access token into the next.
//
// # Login
//
// Authorization code flow (OIDC Core section 3.1) with PKCE S256 (RFC 7636),
// state and nonce. What an attempt must remember between the two redirects is
// sealed in a cookie of its own, so that several tabs can log in at once and no
// replica needs to know of the others. The state names that cookie:
//
//	GET <prefix>login     → attempt sealed in __Host-bff_login_<8 chars>, 302 to the provider
//	GET <prefix>callback  → cookie and state agree → one token request → ID Token
//	                      → Sessions.Create → session cookie, 303 back
//
// The code is spent at most once, so the exchange belongs to no request: it
// runs to its own deadline, a repeat of the callback joins it while it runs and
// is refused afterwards without a token request.
//
// Where the provider or the store fails, the answer is 503 and no cookie is
// touched; where the login itself cannot work, it is a page with a link, never
// another redirect: a browser must not be sent in circles.
//
// # Tokens
//
// The code exchange and [RP.Refresh] share one POST, in token.go, and one table
// from HTTP to [session.Class], in classify.go. golang.org/x/oauth2 builds the
// authorization request only: its exchange refuses an expires_in such as 60.5 or
// true, cannot tell whether a request was written, and carries the answer's body
// in its errors.
//
// # Trust
//
// The provider's certificate vouches for the token endpoint; the ID Token must
// still be signed, fresh and ours. All texts from outside stay out of logs
// and pages: a provider may echo a token into an error description.
package rp
