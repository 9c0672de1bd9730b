//go:build replicas

package replicas

import (
	"crypto/rand"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// What the sweep asks Redis does not grow with the number of replicas.
func TestTenReplicasCostLittleMoreThanThree(t *testing.T) {
	t.Parallel()
	const atRest, few, many = 100_000, 3, 10
	redis := redistest.Start(t)
	all := over(t, redis, few, stack.Options{Plain: true})
	rest(t, redis, all[0], atRest)
	rate := func() float64 {
		const span = 20 * time.Second
		pause.For(t.Context(), 5*time.Second) // the shards have found their replicas
		before := commands(t, redis)
		pause.For(t.Context(), span)
		n := 0
		for name, calls := range commands(t, redis) {
			n += calls - before[name]
		}
		return float64(n) / span.Seconds()
	}
	three := rate()
	for len(all) < many {
		all = append(all, all[0].Replica(t))
	}
	ten := rate()
	t.Logf("commands per second: %.0f with %d replicas, %.0f with %d: %.2f times", three, few, ten, many, ten/three)
	if ten > 1.5*three {
		t.Errorf("ten replicas cost %.2f times as much as three", ten/three)
	}
}

// rest puts so many sessions into the store that nobody uses and that are not due.
func rest(t *testing.T, redis *redistest.Server, s *stack.Stack, n int) {
	t.Helper()
	keys, err := seal.ReadKeys(s.File("keys"))
	if err != nil {
		t.Fatal(err)
	}
	shared, err := redisstore.Open(redisstore.Options{
		Addresses: []string{redis.Addr}, Prefix: "lamplighter", Keys: keys, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = shared.Close() }()
	const writers = 32
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range n / writers {
				now := time.Now()
				err := shared.Create(t.Context(), session.Session{
					ID: session.NewHandle().ID(), Revision: 1, App: "default", Provider: s.Issuer,
					Token: session.Token{
						Access: session.AccessToken{Secret: session.NewSecret(rand.Text())}, Refresh: session.RefreshToken{Secret: session.NewSecret(rand.Text())},
						Issued: now, Lifetime: time.Hour,
					},
					Identity:  session.Identity{Subject: rand.Text()},
					CreatedAt: now, EndsAt: now.Add(8 * time.Hour), SweepAt: now.Add(40 * time.Minute),
				})
				if err != nil {
					t.Errorf("create a session: %v", err)
					return
				}
			}
		})
	}
	writing.Wait()
}
