// Package race tells tests whether the race detector watches, which makes
// everything about ten times slower: they choose their size by it.
package race
