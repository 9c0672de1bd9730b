// Package pause is how long the users of a test wait between their steps.
package pause
