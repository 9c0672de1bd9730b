// Package crash kills lamplighter in the middle of a refresh, with SIGKILL, at
// six points and many times over, and holds what came of it against the
// provider's ledger. Its tests take minutes and have the build tag crash, as have
// the points inside the process (pkg/app/crash.go): `make crash-short` runs them.
package crash
