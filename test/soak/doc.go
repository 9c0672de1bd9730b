// Package soak holds what takes minutes: thousands of users of the real product
// at a provider that misbehaves in every way at once, and a provider that is
// away. Its tests have the build tag "soak", and make targets of their own; go
// test ./... leaves them out.
package soak
