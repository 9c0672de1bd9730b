// Package admin is the operator's listener: /metrics, /livez, /readyz, and the
// sessions under /sessions/. It belongs on loopback or a pod network: whoever
// reaches it may ask. A page in the operator's browser may not: the session pages
// refuse what comes from another site, and a Host that is not the listener's own.
//
// The story of the session pages is one question, "why was I logged out?". The
// operator has a short id from the log and wants the reason, the time, and the
// refreshes that led there. For a session that lives he may also want a refresh
// now (POST /sessions/{name}/refresh), which is one more door to the refresher
// and makes no promise of its own; and he may end it (POST /sessions/{name}/revoke).
//
// All sessions at once: POST /sessions/list answers with a line each, as many as
// there may be, and POST /sessions/revoke ends those of one user. Who that is stands
// in the body, since paths are logged on the way.
//
// What is shown is declared here, field by field, and filled by app: a [Session]
// has no room for a token, a full id, a name, a subject or an e-mail address.
// [Client] is the other end, for the command line.
package admin
