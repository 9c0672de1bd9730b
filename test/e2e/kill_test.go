package e2e

import (
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// A process that is killed and at once started again is missed by nobody: the shipped
// bootstrap asks again until the listener is there. soak.TestKilledWithManySessions has
// more of them.
//
// How long Envoy waits between its tries is drawn: they last for less than half a second
// in one request of 10,000. So a kill counts if the process was back soon; a busy machine
// gets more of them.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	const sessions, kills, most, soon = 1000, 5, 50, 300 * time.Millisecond
	s := stack.Start(t, stack.Options{Bootstrap: envoytest.Shipped, Plain: true, Sessions: sessions, Config: "log: {level: info}"})
	load := s.Load(t, 5*time.Millisecond)
	var late []span
	for count := 0; count < kills; {
		load.More(t, 200)
		away := span{from: time.Now()}
		s.Lamplighter.Kill()
		s.Lamplighter.Start()
		away.to = time.Now()
		if away.to.Sub(away.from) <= soon {
			count++
		} else if late = append(late, away); len(late) == most {
			t.Fatalf("after %d kills it was %d times back within %v", count+most, count, soon)
		}
	}
	load.More(t, sessions) // everybody, now that it runs
	requests := load.Stop()
	var longest time.Duration
	for _, r := range requests {
		asked := span{r.Begun, r.Ended}
		if slices.ContainsFunc(late, asked.overlaps) {
			continue
		}
		longest = max(longest, r.Ended.Sub(r.Begun))
		if r.Err != nil {
			t.Errorf("failed after %v: %v", r.Ended.Sub(r.Begun), r.Err)
		}
	}
	t.Logf("%d requests over %d kills and %d that took too long, the longest took %v", len(requests), kills, len(late), longest.Round(time.Millisecond))
}

// Whoever asks while the embedded store is being opened waits, and is answered.
func TestChecksWaitForTheStore(t *testing.T) {
	t.Parallel()
	s := stack.Prepare(t, stack.Options{Sessions: 1})
	f, err := os.Open(s.File("sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { // it cannot be opened
		t.Fatal(err)
	}
	s.Lamplighter.Launch()
	s.Lamplighter.Until("connected to", func() bool {
		c, err := net.Dial("unix", s.File("check.sock"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	answered := make(chan error, 1)
	go func() {
		conn, err := grpc.NewClient(s.CheckAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err == nil {
			defer conn.Close()
			_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("answered while the store is closed: %v", err)
	case <-time.After(200 * time.Millisecond): // less than the store waits for its lock
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("not answered when the store was open: %v", err)
	}
}
