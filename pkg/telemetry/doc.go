// Package telemetry makes the two things every part of the process reports
// through: a JSON logger and a Prometheus registry. Both carry no token,
// cookie, code or user name: those are types that redact themselves.
package telemetry
