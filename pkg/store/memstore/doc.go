// Package memstore is the store of record in memory: for development, for
// tests, and as the smallest reading of the contract. It loses everything with
// the process.
package memstore
