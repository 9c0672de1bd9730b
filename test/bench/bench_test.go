// Package bench measures Lamplighter against a no-op server on the same library
// in the same run: on a shared machine only the ratio of the two says anything.
package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/stack"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// noop allows everything with one header, the least an ext_authz server can do.
type noop struct{ answer *authv3.CheckResponse }

func (n noop) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return n.answer, nil
}

// noopSocket makes this test binary play the no-op server on that socket: it has
// to be a process of its own, as lamplighter is.
const noopSocket = "BENCH_NOOP_SOCKET"

func TestMain(m *testing.M) {
	path := os.Getenv(noopSocket)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := serveNoop(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveNoop(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, noop{&authv3.CheckResponse{
		Status: &status.Status{},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "authorization", Value: "Bearer x"}}},
		}},
	}})
	return server.Serve(l)
}

func startNoop(b testing.TB) (address string, pid int) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "noop.sock")
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), noopSocket+"="+path)
	cmd.Stderr = os.Stderr
	proc, err := child.Start(cmd)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = proc.Stop(time.Second) })
	return "unix://" + path, proc.Pid()
}

func dial(b testing.TB, address string) authv3.AuthorizationClient {
	b.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return authv3.NewAuthorizationClient(conn)
}

// check is a Check as Envoy sends it for a page's fetch with two other cookies.
func check(cookie string) *authv3.CheckRequest {
	header := func(name, value string) *corev3.HeaderValue {
		return &corev3.HeaderValue{Key: name, RawValue: []byte(value)}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 51234}},
		}}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "5577006791947779410", Method: http.MethodGet, Path: "/api/items?page=2", Host: "app.example.com", Scheme: "https", Protocol: "HTTP/2",
			HeaderMap: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
				header(":authority", "app.example.com"), header(":path", "/api/items?page=2"), header(":method", "GET"), header(":scheme", "https"),
				header("accept", "application/json"), header("accept-language", "en"), header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
				header("sec-fetch-mode", "cors"), header("sec-fetch-site", "same-origin"),
				header("cookie", "theme=dark; __Host-bff_session="+cookie+"; lang=en"),
				header("x-forwarded-proto", "https"), header("x-request-id", "0d3c1d0a-4e3c-4b57-9f2c-2f4d3f1f9c01"),
			}},
		}},
	}}
}

// BenchmarkFreshCheck alternates one Check of a Fresh session through the whole
// product and one through the no-op server, each a process behind a unix socket.
func BenchmarkFreshCheck(b *testing.B) {
	s := stack.Start(b, stack.Options{AccessTokenLife: time.Hour, Config: "log: {level: info}", Plain: true})
	browser := s.Browser(b)
	browser.Login("/", "ada").Bearer(b)
	req := check(browser.Cookie("__Host-bff_session"))
	noop, _ := startNoop(b)
	product, least := dial(b, s.CheckAddress()), dial(b, noop)

	var ours, theirs time.Duration
	measure := func(c authv3.AuthorizationClient, sum *time.Duration) {
		started := time.Now()
		answer, err := c.Check(b.Context(), req)
		*sum += time.Since(started)
		if err != nil || answer.GetStatus().GetCode() != 0 {
			b.Fatalf("check: %v %v", answer, err)
		}
	}
	for range 200 { // connections, caches and branch predictors
		measure(product, &ours)
		measure(least, &theirs)
	}
	ours, theirs = 0, 0
	for b.Loop() {
		measure(product, &ours)
		measure(least, &theirs)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x-noop")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns-product")
	b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N), "ns-noop")
}
