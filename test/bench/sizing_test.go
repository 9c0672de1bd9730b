//go:build sizing

package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/test/stack"
)

// TestSizing prints what the product takes with so many sessions in the embedded
// store, beside a no-op server that answers as many Checks: the table of k8s/README.md.
// Memory and file sizes are what they are; of the processor only the ratio says
// anything on a shared machine.
func TestSizing(t *testing.T) {
	address, pid := startNoop(t)
	noop := dial(t, address)
	for _, tt := range []struct {
		name     string
		sessions int
		env      []string
	}{
		{"none", 0, nil},
		{"1,000", 1000, nil},
		{"10,000", 10_000, nil},
		{"100,000", 100_000, nil},
		{"100,000 with GOMEMLIMIT=160MiB", 100_000, []string{"GOMEMLIMIT=160MiB"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := stack.Prepare(t, stack.Options{Plain: true, Sessions: tt.sessions, Env: tt.env, Config: "log: {level: info}"})
			s.Lamplighter.Start()
			p := process{t, s.Lamplighter.Pid()}
			size(t, s, p)
			if tt.sessions > 0 {
				use(s, p, func(sessions []stack.Session, n int) time.Duration {
					return perThousand(process{t, pid}, noop, sessions, n)
				})
			}
			begun := time.Now()
			if err := s.Lamplighter.Terminate(); err != nil {
				t.Errorf("SIGTERM: %v", err)
			}
			t.Logf("stopped in %v", time.Since(begun).Round(10*time.Millisecond))
		})
	}
}

// use tells of Checks: the first of each session, and then of some again.
func use(s *stack.Stack, p process, noop func([]stack.Session, int) time.Duration) {
	const checks = 50_000
	product := dial(p.t, s.CheckAddress())
	first := perThousand(p, product, s.Sessions, len(s.Sessions))
	p.t.Logf("after each session was used once: %v", p.memory())
	again := s.Sessions[:min(len(s.Sessions), 5000)] // what the cache has room for
	perThousand(p, product, again, len(again))
	cached, least := perThousand(p, product, again, checks), noop(again, checks)
	p.t.Logf("processor time of a thousand Checks: %v the first of a session, %v from the cache, %v of the no-op server: %.1f and %.1f times as much",
		first, cached, least, float64(first)/float64(least), float64(cached)/float64(least))
	p.t.Logf("after them: %v", p.memory())
}

// size tells of a product that has just started, and is left alone.
func size(t *testing.T, s *stack.Stack, p process) {
	t.Helper()
	const idle = 20 * time.Second
	info, err := os.Stat(s.File("sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("file: %.1f MB; after the start: %v", float64(info.Size())/1e6, p.memory())
	before := p.cpu()
	time.Sleep(idle) // nothing is asked: what it does by itself
	t.Logf("idle: %v of processor time in %v; %v", p.cpu()-before, idle, p.memory())
}

// perThousand is the processor time of n Checks, divided, by sixteen callers at a time.
func perThousand(p process, c authv3.AuthorizationClient, sessions []stack.Session, n int) time.Duration {
	p.t.Helper()
	const callers = 16
	before := p.cpu()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := caller; i < n; i += callers {
				_, handle, _ := strings.Cut(sessions[i%len(sessions)].Cookie, "=")
				answer, err := c.Check(p.t.Context(), check(handle))
				if err != nil || answer.GetStatus().GetCode() != 0 {
					p.t.Errorf("check: %v %v", answer, err)
					return
				}
			}
		})
	}
	all.Wait()
	return (p.cpu() - before) * 1000 / time.Duration(n)
}

// process is one that the kernel tells of.
type process struct {
	t   *testing.T
	pid int
}

// memory is resident: its own, and pages of files, which the kernel takes back when
// it needs them.
type memory struct{ own, files, most float64 }

func (m memory) String() string {
	return fmt.Sprintf("%.1f MB its own, %.1f MB of files, at most %.1f MB together", m.own, m.files, m.most)
}

func (p process) memory() memory {
	p.t.Helper()
	of := map[string]float64{}
	for line := range bytes.Lines(p.read("status")) {
		name, value, _ := strings.Cut(string(line), ":")
		var kib float64
		if _, err := fmt.Sscanf(value, "%f kB", &kib); err == nil {
			of[name] = kib * 1024 / 1e6
		}
	}
	return memory{of["RssAnon"], of["RssFile"], of["VmHWM"]}
}

// cpu is the processor time that it has had, in user and in kernel mode.
func (p process) cpu() time.Duration {
	p.t.Helper()
	const tick = 10 * time.Millisecond // USER_HZ is 100
	_, after, _ := bytes.Cut(p.read("stat"), []byte(") "))
	fields := strings.Fields(string(after))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		p.t.Fatal(err)
	}
	kernel, err := strconv.Atoi(fields[12])
	if err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(user+kernel) * tick
}

func (p process) read(name string) []byte {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.pid, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}
