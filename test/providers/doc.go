// Package providers runs OpenID Providers that others have written, for tests:
// npm's oidc-provider with rotation ([StartOIDCProvider]), and Keycloak with
// revokeRefreshToken ([StartKeycloak]). At both a refresh token that comes back
// costs the session, and both keep books: a [Provider]'s Events are what it says
// itself of logins, refreshes and troubles.
//
// They are installed when first needed, into the checkout's ignored folder
// .providers, at the versions pinned here; a missing tool is an error that says
// which, never a reason to skip. Neither outlives the test.
//
// The tests have the build tag providers: make test-providers runs them, and
// make test needs neither Java nor Node.js.
package providers
