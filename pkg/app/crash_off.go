//go:build !crash

package app

import "github.com/lamplighter/lamplighter/pkg/lifecycle"

// crashable is for the crash tests: with their build tag the process can be
// killed inside the store.
func crashable(s lifecycle.Store) lifecycle.Store { return s }
