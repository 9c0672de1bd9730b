// Package logbook keeps what several writers log at once, for a test to read.
package logbook

import (
	"bytes"
	"sync"
)

// Book is an io.Writer that keeps everything. The zero value is empty; it is
// safe for concurrent use.
type Book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write never fails.
func (l *Book) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that has been written so far.
func (l *Book) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
