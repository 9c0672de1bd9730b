package envoytest

import (
	"io"
	"sync"
)

// logLimit is how much of Envoy's log is kept, in bytes.
const logLimit = 64 << 10

// logTail keeps the end of what is written and passes everything on. It may be
// used by several goroutines.
type logTail struct {
	mu   sync.Mutex
	text []byte
	next io.Writer // may be nil
}

// Write never fails: a full disk behind next must not stop Envoy.
func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if extra := len(l.text) - logLimit; extra > 0 {
		l.text = l.text[extra:]
	}
	if l.next != nil {
		_, _ = l.next.Write(p)
	}
	return len(p), nil
}

// String is the tail.
func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
