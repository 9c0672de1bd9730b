package e2e

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// watchHealth opens a Watch on the Check listener and waits for SERVING.
func watchHealth(t *testing.T, s *stack.Stack) grpc_health_v1.Health_WatchClient {
	t.Helper()
	conn, err := grpc.NewClient(s.CheckAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := watch.Recv(); err != nil || h.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v %v, want SERVING", h, err)
	}
	return watch
}

// heldRefresh brings lamplighter to where the provider has spent the refresh
// token and holds the answer.
func heldRefresh(t *testing.T) (*stack.Stack, *stack.Browser) {
	t.Helper()
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second, Config: noSweep})
	b := s.Browser(t)
	b.Login("/", "ada")
	s.OP.SetAccessTokenLife(time.Minute) // of the next token: it outlives a slow restart
	fault(t, s, op.Fault{HoldAfter: true, Times: 1})
	eventually(t, "the provider holds the answer", func() bool {
		b.Fetch("/")
		return s.OP.Ledger().Held == 1
	})
	return s, b
}

func TestSIGTERMFinishesRefreshesUnderWay(t *testing.T) {
	t.Parallel()
	s, b := heldRefresh(t)
	health := watchHealth(t, s)
	s.Lamplighter.Signal(syscall.SIGTERM)
	if h, err := health.Recv(); err != nil || h.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health after SIGTERM: %v %v, want NOT_SERVING", h, err)
	}
	if !s.Lamplighter.Running() {
		t.Fatal("it ended before the refresh did")
	}
	s.OP.Release()
	if code := s.Lamplighter.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	s.Lamplighter.Start()
	b.Fetch("/").Bearer(t)
	l := s.OP.Ledger()
	if got := l.ReceivedBy["refresh_token"]["200"]; got != 1 || refreshes(s) != 1 {
		t.Errorf("%d refresh requests, %d answered with tokens; want the one whose answer was stored at the stop", refreshes(s), got)
	}
	usedOnce(t, s)
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := heldRefresh(t)
	health := watchHealth(t, s)
	s.Lamplighter.Signal(syscall.SIGTERM)
	if _, err := health.Recv(); err != nil {
		t.Fatal(err)
	}
	s.Lamplighter.Signal(syscall.SIGINT)
	if code := s.Lamplighter.Wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

func TestReadinessSurvivesTheProvider(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	s.StopOP()
	if _, err := http.Get(s.Issuer); err == nil {
		t.Fatal("the provider still answers")
	}
	if code, body, err := s.Lamplighter.Get("/readyz"); err != nil || code != http.StatusOK {
		t.Errorf("readyz with the provider gone: %d %q %v, want 200", code, body, err)
	}
}
