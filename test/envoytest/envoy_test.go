package envoytest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/test/envoytest"
)

// fromHere leads from this package to the top of the checkout.
const fromHere = "../.."

func TestShippedFilesAreValidAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), envoytest.Binary(t),
				"--mode", "validate", "--config-path", filepath.Join(fromHere, bootstrap))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// What makes a run by versions true: the Envoy that answers is the one chosen.
func TestTheChosenVersionRuns(t *testing.T) {
	t.Parallel()
	chosen := os.Getenv(envoytest.Variable)
	installed, err := exec.CommandContext(t.Context(), envoytest.Binary(t), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		got, err := start(t, bootstrap, always(ok(nil))).Version()
		if err != nil || !strings.Contains(string(installed), "/"+got+"/") || (chosen != "" && got != chosen) {
			t.Errorf("%s: %q runs, %v, installed is %s, chosen is %q", bootstrap, got, err, installed, chosen)
		}
	}
}

func TestATakenPortIsAnError(t *testing.T) {
	t.Parallel()
	first := idle(t)
	// Envoy alone would share it with another Envoy, silently.
	e, err := envoytest.Start(t.Context(), envoytest.Options{
		Bootstrap: envoytest.Shipped, AuthzAddress: "127.0.0.1:1", AppAddress: "127.0.0.1:1", Listen: first.Addr(),
	})
	if err == nil {
		e.Stop()
		t.Fatal("two Envoys share a port")
	}
	if !strings.Contains(err.Error(), first.Addr()) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestAFailedStartShowsTheLog(t *testing.T) {
	t.Parallel()
	e, err := envoytest.Start(t.Context(), envoytest.Options{
		Bootstrap: envoytest.Shipped, AuthzAddress: "127.0.0.1:1", AppAddress: "127.0.0.1:1",
		Mutate: func(bootstrap map[string]any) error {
			bootstrap["no_such_field"] = true
			return nil
		},
	})
	if err == nil {
		e.Stop()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "no_such_field") {
		t.Errorf("got %v", err)
	}
}

func TestStartRefusesWhatItCannotPlace(t *testing.T) {
	t.Parallel()
	good := envoytest.Options{Bootstrap: envoytest.Shipped, AuthzAddress: "unix:///tmp/x", AppAddress: "127.0.0.1:1"}
	broken := errors.New("broken")
	for want, change := range map[string]func(*envoytest.Options){
		"read bootstrap":                      func(o *envoytest.Options) { o.Bootstrap = "envoy/none.yaml" },
		"set endpoint of cluster app":         func(o *envoytest.Options) { o.AppAddress = "" },
		"set endpoint of cluster lamplighter": func(o *envoytest.Options) { o.AuthzAddress = "localhost:1" },
		"set listener":                        func(o *envoytest.Options) { o.Listen = ":8080" },
		"mutate bootstrap: broken":            func(o *envoytest.Options) { o.Mutate = func(map[string]any) error { return broken } },
	} {
		o := good
		change(&o)
		e, err := envoytest.Start(t.Context(), o)
		if err == nil {
			e.Stop()
			t.Errorf("%s: started", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
}

func TestLookupNamesTheStepThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	tree := map[string]any{"list": []any{map[string]any{"name": "first"}}, "text": "x"}
	if got, err := envoytest.Lookup(tree, "list", 0); err != nil || got["name"] != "first" {
		t.Errorf("got %v, %v", got, err)
	}
	for want, path := range map[string][]any{
		"bootstrap has no [list 1]":        {"list", 1, "name"},
		"bootstrap has no [list 0 none]":   {"list", 0, "none"},
		"bootstrap has no [text 0]":        {"text", 0},
		"bootstrap: [text] is a string, n": {"text"},
	} {
		if _, err := envoytest.Lookup(tree, path...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", path, err, want)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	e := idle(t)
	select {
	case <-e.Done():
		t.Fatal("done before Stop")
	default:
	}
	for range 2 {
		if err := e.Stop(); err != nil {
			t.Errorf("got %v", err)
		}
	}
	<-e.Done()
	if conn, err := net.Dial("tcp", e.Addr()); err == nil {
		conn.Close()
		t.Error("still listening")
	}
	if _, err := e.Stats("server.live"); err == nil || errors.Is(err, envoytest.ErrNoStat) {
		t.Errorf("stats of a stopped Envoy: got %v", err)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	e := idle(t)
	if got, err := e.Stats("server.live"); err != nil || got != 1 {
		t.Errorf("server.live: got %d, %v", got, err)
	}
	// Not those that only begin with it.
	if got, err := e.Stats("cluster.app.upstream_rq_retry"); err != nil || got != 0 {
		t.Errorf("cluster.app.upstream_rq_retry: got %d, %v", got, err)
	}
	for _, name := range []string{"server.liv", "erver.live", "server.live.x", "server.*"} {
		if _, err := e.Stats(name); !errors.Is(err, envoytest.ErrNoStat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// idle is an Envoy with nobody behind it.
func idle(t *testing.T) *envoytest.Envoy {
	t.Helper()
	return envoytest.Run(t, envoytest.Options{
		Bootstrap: envoytest.Bare, AuthzAddress: "127.0.0.1:1", AppAddress: "127.0.0.1:1", Concurrency: 1,
	})
}

// The TLS block of envoy/README.md, as it is printed there, with both protocols.
func TestTLSAsTheReadmeShowsIt(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(fromHere, "envoy/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, opened := bytes.Cut(readme, []byte("\n```yaml\n"))
	block, _, closed := bytes.Cut(block, []byte("\n```\n"))
	if !opened || !closed {
		t.Fatal("the README has no yaml block")
	}
	var snippet map[string]any
	if err := yaml.Unmarshal(block, &snippet); err != nil {
		t.Fatal(err)
	}
	roots, certificate, key := selfSigned(t)
	mutate := func(bootstrap map[string]any) error {
		files, err := envoytest.Lookup(snippet, "transport_socket", "typed_config", "common_tls_context", "tls_certificates", 0)
		if err != nil {
			return err
		}
		files["certificate_chain"] = map[string]any{"filename": certificate}
		files["private_key"] = map[string]any{"filename": key}
		chain, err := envoytest.Lookup(bootstrap, "static_resources", "listeners", 0, "filter_chains", 0)
		if err != nil {
			return err
		}
		chain["transport_socket"] = snippet["transport_socket"]
		return nil
	}
	g := setup{mutate: mutate}.start(t, envoytest.Shipped, always(ok([][2]string{{"authorization", "Bearer fresh"}})))
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(!http2)
		transport.Protocols.SetHTTP2(http2)
		defer transport.CloseIdleConnections()
		request := g.request(t, "/page")
		request.URL.Scheme = "https"
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, response).echoed(t)
		if (response.ProtoMajor == 2) != http2 || got.Headers["authorization"][0] != "Bearer fresh" || got.Headers["x-forwarded-proto"][0] != "https" {
			t.Errorf("got %s, %v", response.Proto, got.Headers)
		}
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (roots *x509.CertPool, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return roots, write("tls.crt", "CERTIFICATE", der), write("tls.key", "PRIVATE KEY", encoded)
}
