//go:build race

package product

// raceEnabled tells that the race detector watches, which makes everything
// about ten times slower.
const raceEnabled = true
