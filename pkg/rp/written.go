package rp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"sync"
	"time"
)

// trace watches net/http for the one fact we need. Only a transport that has
// told of looking for a connection, and never of getting one, has certainly
// written nothing; another RoundTripper tells nothing and counts as sent.
type trace struct {
	now           func() time.Time
	mu            sync.Mutex // hooks may run in other goroutines
	start         time.Time
	asked, gotten bool
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.asked = true
		},
		GotConn: func(httptrace.GotConnInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			if !t.gotten { // a second connection means the first one was written to, or nearly
				t.gotten, t.start = true, t.now()
			}
		},
	}
}

func (t *trace) result(err error) (sent bool, issued time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	dialing := false
	if op, ok := errors.AsType[*net.OpError](err); ok {
		dialing = op.Op == "dial"
	}
	return t.gotten || !t.asked && !dialing, t.start.Round(0)
}

// describe makes an error fit for a log. Once something was sent, the text of
// net/http may quote the answer, and an answer may quote the token.
func describe(err error, sent bool) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("given up: %w", context.Canceled)
	case !sent:
		return fmt.Errorf("not sent: %w", err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("connection failed: %w", op)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("connection closed before the answer was complete")
	}
	return errors.New("the connection closed, or the answer is not HTTP")
}
