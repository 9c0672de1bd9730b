// Package cookie reads the Cookie header that Envoy hands over, takes our own
// cookies out of it, and builds the Set-Cookie values we answer with.
//
// net/http parses cookies to use them and drops what it does not like. We stand
// in between: what is not ours belongs to the application behind us and must
// arrive byte for byte, however odd. So a [Header] is never parsed and written
// again; [Header.Strip] cuts our cookies out and keeps the text around them.
//
// # Two forms of one header
//
// With encode_raw_headers Envoy sends every HTTP/1.1 Cookie line as an entry of
// its own: [Raw]. Without it, several lines arrive joined by a comma without a
// space: [Merged]. (HTTP/2 crumbs are joined by Envoy with "; " in both.) A
// comma is also a byte that browsers allow inside a value, so the merged form is
// ambiguous. What saves us is that the values of our cookies are base64url, which
// has no comma: in the merged form our cookie starts after a ";" or a ",", and
// ends before the next of either, and every other comma stays where it is.
//
// The price is that a Merged header cannot tell our cookie on a second line
// from a foreign cookie whose value contains a comma and then our name. A site
// that may set cookies for a parent domain can use that to plant a session of
// its own in a browser that has none. Raw has no such doubt: prefer it.
//
// # Grammar
//
// RFC 6265 section 4.2.1, read the way servers read it: ";" always separates,
// also within double quotes; spaces and tabs around a cookie and around its "="
// are not part of it; names are compared with their case.
package cookie
