package envoytest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/envoytest"
)

// stub is a Check service that answers as told and remembers what it was asked.
type stub struct {
	authv3.UnimplementedAuthorizationServer
	answer func(*authv3.CheckRequest) *authv3.CheckResponse

	mu   sync.Mutex
	seen []*authv3.AttributeContext_HttpRequest
	meta metadata.MD
}

func (s *stub) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	meta, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	s.seen = append(s.seen, request.GetAttributes().GetRequest().GetHttp())
	s.meta = meta
	s.mu.Unlock()
	return s.answer(request), nil
}

// checks is what it was asked so far.
func (s *stub) checks() []*authv3.AttributeContext_HttpRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *stub) metadata(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta.Get(name)
}

// lines are the values of a header as the Check carried them, whichever of the
// two fields Envoy used.
func lines(check *authv3.AttributeContext_HttpRequest, name string) []string {
	var values []string
	for _, header := range check.GetHeaderMap().GetHeaders() {
		if header.GetKey() == name {
			values = append(values, string(header.GetRawValue()))
		}
	}
	if value, ok := check.GetHeaders()[name]; ok {
		values = append(values, value)
	}
	return values
}

// gateway is a real Envoy between a client, a stub and an app.
type gateway struct {
	*envoytest.Envoy
	stub *stub
	app  *echo.API
}

// setup is what a test wants different from the usual gateway. The zero value is usual.
type setup struct {
	listener func(net.Listener) net.Listener // around the stub's; may be nil
	app      http.Handler                    // instead of the echo; may be nil
	mutate   func(map[string]any) error
}

func start(t *testing.T, bootstrap string, answer func(*authv3.CheckRequest) *authv3.CheckResponse) *gateway {
	t.Helper()
	return setup{}.start(t, bootstrap, answer)
}

func (s setup) start(t *testing.T, bootstrap string, answer func(*authv3.CheckRequest) *authv3.CheckResponse) *gateway {
	t.Helper()
	g := &gateway{stub: &stub{answer: answer}, app: &echo.API{}}
	handler := http.Handler(g.app)
	if s.app != nil {
		handler = s.app
	}
	app := httptest.NewServer(handler)
	t.Cleanup(app.Close)

	socket := socketPath(t)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if s.listener != nil {
		listener = s.listener(listener)
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, g.stub)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})

	g.Envoy = envoytest.Run(t, envoytest.Options{
		Bootstrap: bootstrap, AuthzAddress: "unix://" + socket, AppAddress: app.Listener.Addr().String(),
		Concurrency: 1, Mutate: s.mutate,
	})
	return g
}

// socketPath is short: the kernel takes 107 bytes, and a test's folder may be longer.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "authz-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "check.sock")
}

// ok allows, sets headers (name, value pairs) as lamplighter does and removes others.
func ok(set [][2]string, remove ...string) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: options(set), HeadersToRemove: remove,
		}},
	}
}

// denied answers the client itself.
func denied(status int, body string, headers ...[2]string) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(status)}, Headers: options(headers), Body: body,
		}},
	}
}

func options(headers [][2]string) []*corev3.HeaderValueOption {
	var list []*corev3.HeaderValueOption
	for _, header := range headers {
		list = append(list, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: header[0], Value: header[1]},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return list
}

// always answers the same to everything.
func always(response *authv3.CheckResponse) func(*authv3.CheckRequest) *authv3.CheckResponse {
	return func(*authv3.CheckRequest) *authv3.CheckResponse { return response }
}

// answer is what the client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// echoed is the request as the app received it.
func (a answer) echoed(t *testing.T) echo.Request {
	t.Helper()
	var request echo.Request
	if err := json.Unmarshal([]byte(a.body), &request); err != nil {
		t.Fatalf("want an echo, got status %d, body %q", a.status, a.body)
	}
	return request
}

// raw sends a request over HTTP/1.1 exactly as written: the target is not
// cleaned, the header lines keep spelling and order.
func (g *gateway) raw(t *testing.T, target string, headers ...string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var request bytes.Buffer
	fmt.Fprintf(&request, "GET %s HTTP/1.1\r\nHost: app.example\r\n", target)
	for _, line := range headers {
		fmt.Fprintf(&request, "%s\r\n", line)
	}
	request.WriteString("\r\n")
	if _, err := conn.Write(request.Bytes()); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

// get sends "name: value" lines over HTTP/1.1, or over HTTP/2 in clear text by
// prior knowledge.
func (g *gateway) get(t *testing.T, http2 bool, path string, headers ...string) answer {
	t.Helper()
	if !http2 {
		return g.raw(t, path, headers...)
	}
	response, err := g.http2(t, path, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if response.ProtoMajor != 2 {
		t.Fatalf("got %s, want HTTP/2", response.Proto)
	}
	return read(t, response)
}

// http2 sends over a connection of its own.
func (g *gateway) http2(t *testing.T, path string, headers ...string) (*http.Response, error) {
	t.Helper()
	return http2Transport(t).RoundTrip(g.request(t, path, headers...))
}

// http2Transport speaks HTTP/2 in clear text by prior knowledge, and nothing else.
func http2Transport(t *testing.T) *http.Transport {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// request keeps the spelling of the header names.
func (g *gateway) request(t *testing.T, path string, headers ...string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "app.example"
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		request.Header[name] = append(request.Header[name], value)
	}
	return request
}

func read(t *testing.T, response *http.Response) answer {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}

// awaitStat returns once the counter has the value: workers hand counts in late.
func (g *gateway) awaitStat(t *testing.T, name string, want uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		got, err := g.Stats(name)
		if err == nil && got == want {
			return
		}
		if err != nil && !errors.Is(err, envoytest.ErrNoStat) {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("stat %s: got %d, %v, want %d", name, got, err, want)
		case <-poll.C:
		}
	}
}
