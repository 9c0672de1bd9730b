package op

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// send writes a to the caller, byte by byte if it drips. It reports false if the
// caller or the provider left before the end.
func (p *Provider) send(ctx context.Context, w http.ResponseWriter, a *answer) bool {
	inside, ok := w.(*answer)
	if ok {
		inside.drip = a.drip // its body is read later
	}
	if ok || a.drip == 0 {
		a.writeTo(w)
		return true
	}
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	a.writeHeaderTo(w)
	connection := http.NewResponseController(w)
	for _, b := range a.body.Bytes() {
		if connection.Flush() != nil || wait(ctx, p.closed, a.drip) != nil {
			return false
		}
		if _, err := w.Write([]byte{b}); err != nil {
			return false
		}
	}
	return true
}

// dripping is a body that arrives byte by byte, without a goroutine: each read
// waits for its byte.
type dripping struct {
	rest   io.Reader
	every  time.Duration
	ctx    context.Context // of the request, ended by Close
	cancel context.CancelFunc
	closed <-chan struct{} // the provider's
}

func newDripping(ctx context.Context, a *answer, closed <-chan struct{}) *dripping {
	ctx, cancel := context.WithCancel(ctx)
	return &dripping{&a.body, a.drip, ctx, cancel, closed}
}

// Read implements io.Reader.
func (d *dripping) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	var one [1]byte
	if _, err := d.rest.Read(one[:]); err != nil {
		return 0, err
	}
	if err := wait(d.ctx, d.closed, d.every); err != nil {
		return 0, err
	}
	b[0] = one[0]
	return 1, nil
}

// Close implements io.Closer.
func (d *dripping) Close() error {
	d.cancel()
	return nil
}
