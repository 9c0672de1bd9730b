// Package redistest runs real Redis servers on loopback for tests. A missing
// redis-server is a failed test, never a skip.
package redistest
