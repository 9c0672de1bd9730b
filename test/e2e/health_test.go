package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	for _, path := range []string{"/livez", "/readyz"} {
		if code, _, err := s.Lamplighter.Get(path); err != nil || code != http.StatusOK {
			t.Errorf("%s: %d, %v", path, code, err)
		}
	}
	conn, err := grpc.NewClient(s.CheckAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, service := range []string{"", "envoy.service.auth.v3.Authorization"} {
		got, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, got.GetStatus(), err)
		}
	}
}

// What the probes of a pod run, on a socket, on a port, and with TLS: it tells one
// that serves from one that starts, and both from none.
func TestHealthCommand(t *testing.T) {
	t.Parallel()
	ca := redistest.NewAuthority(t)
	for name, c := range map[string]struct {
		check, listen string
		args          []string
	}{
		"socket": {check: ""},
		"port":   {check: "127.0.0.1:PORT"},
		"TLS":    {":PORT", ", tls: {cert_file: " + ca.ServerCert + ", key_file: " + ca.ServerKey + "}", []string{"--tls"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{})
			lamp := s.Lamplighter
			at := s.CheckAddress()
			if c.check != "" {
				if err := lamp.Terminate(); err != nil {
					t.Fatal(err)
				}
				at = strings.Replace(c.check, "PORT", stack.FreePort(t), 1)
				s.Reconfigure(t, fmt.Sprintf("listen: {admin: \"127.0.0.1:0\", check: %q%s}", at, c.listen))
				lamp.Start()
			}
			ask := func(more ...string) int {
				args := append([]string{"health", "--check", at}, c.args...)
				code, out, errs := lamp.Command(append(args, more...)...)
				t.Logf("health %v: %d %s%s", more, code, out, errs)
				return code
			}
			eventually(t, "serving", func() bool { return ask() == 0 })
			if ask("--live") != 0 {
				t.Error("it serves, and is not alive")
			}
			if err := lamp.Terminate(); err != nil {
				t.Fatal(err)
			}
			if ask() != 1 || ask("--live") != 1 {
				t.Error("there is none, and it is healthy")
			}
			s.StopOP() // it starts, and has nobody to send users to
			lamp.Listening()
			eventually(t, "alive", func() bool { return ask("--live") == 0 })
			if ask() != 1 {
				t.Error("it has not found its provider, and is healthy")
			}
		})
	}
}

// A scraper gets metrics and health, and cannot look at sessions or end them.
func TestMetricsListener(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{Config: "listen: {check: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", metrics: \"127.0.0.1:0\"}"})
	at := "http://" + s.Lamplighter.Logged("listening", "metrics")
	for path, want := range map[string]int{"/metrics": 200, "/livez": 200, "/readyz": 200, "/sessions/3f2a9c01d4be": 404} {
		resp, err := http.Get(at + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}
