//go:build alerts

package alerts

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	tokenLife = 12 * time.Second
	users     = 20
	think     = 500 * time.Millisecond // between two requests of a user
)

// run starts the product as it is shipped.
func run(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	o.AccessTokenLife, o.Plain = tokenLife, true
	o.Provider = func(p *op.Options) { p.ES256 = true } // RSA would take the processor
	return stack.Start(t, o)
}

// logIn logs n users in, each with a browser.
func logIn(t *testing.T, s *stack.Stack, n int) (all []*stack.Browser) {
	t.Helper()
	for i := range n {
		b := s.Browser(t)
		b.Login("/", fmt.Sprintf("user-%d", i)).Bearer(t)
		all = append(all, b)
	}
	return all
}

// use has every browser ask for a page again and again until the test ends,
// whatever it is answered.
func use(t *testing.T, all []*stack.Browser) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, len(all))
	for _, b := range all {
		go func() {
			defer func() { done <- struct{}{} }()
			for pause.For(ctx, think) {
				_, _ = b.TryFetch(ctx, "/")
			}
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range all {
			<-done
		}
	})
}
