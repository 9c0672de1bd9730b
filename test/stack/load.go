package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/echo"
)

// Load is requests of the sessions of Options.Sessions, one after the other, at a
// pace that does not wait for the answers: what is slow is measured as slow as it is.
type Load struct {
	s      *Stack
	client *http.Client
	stop   context.CancelFunc
	going  sync.WaitGroup

	mu   sync.Mutex
	done []Request
}

// Request is one that has been answered.
type Request struct {
	Begun, Ended time.Time
	Err          error // nil: the app has seen the session's own token
}

// Load begins.
func (s *Stack) Load(t testing.TB, every time.Duration) *Load {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1000
	t.Cleanup(transport.CloseIdleConnections)
	ctx, stop := context.WithCancel(t.Context())
	l := &Load{s: s, client: &http.Client{Transport: transport}, stop: stop}
	l.going.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			l.going.Go(func() { l.ask(s.Sessions[i%len(s.Sessions)]) })
		}
	})
	t.Cleanup(func() { l.Stop() })
	return l
}

// Stop ends the load, waits for the answers, and returns all of them.
func (l *Load) Stop() []Request {
	l.stop()
	l.going.Wait()
	return l.answered()
}

func (l *Load) answered() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.done)
}

// More waits until n more requests have been answered.
func (l *Load) More(t testing.TB, n int) {
	t.Helper()
	want := len(l.answered()) + n
	for deadline := time.Now().Add(time.Minute); len(l.answered()) < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are answered after a minute, want %d", len(l.answered()), want)
		}
	}
}

func (l *Load) ask(ses Session) {
	r := Request{Begun: time.Now()}
	r.Err = l.try(ses)
	r.Ended = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, r)
}

// try is one request: the app is to see the session's token.
func (l *Load) try(ses Session) error {
	req, err := http.NewRequest(http.MethodGet, l.s.URL+"/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Cookie", ses.Cookie)
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var seen echo.Request
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &seen) != nil {
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	if got := seen.Headers["authorization"]; len(got) != 1 || got[0] != "Bearer "+ses.Access {
		return errors.New("the app saw another token than the session's")
	}
	return nil
}
