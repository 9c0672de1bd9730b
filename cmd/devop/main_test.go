package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

// asCommand, in the environment, makes the test binary devop itself.
const asCommand = "DEVOP_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

type line struct {
	Level, Msg, Address, Issuer, Error string
	Kind, Client, Family               string
}

// devop is a running child, with its log lines.
type devop struct {
	*exec.Cmd
	lines chan line // closed when the child closes stderr
}

func start(t *testing.T, args ...string) *devop {
	t.Helper()
	d := &devop{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...), lines: make(chan line, 100)}
	d.Env = append(os.Environ(), asCommand+"=1")
	stderr, err := d.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			var l line
			if json.Unmarshal(s.Bytes(), &l) != nil {
				l.Msg = "not JSON: " + s.Text()
			}
			d.lines <- l
		}
	}()
	return d
}

// next returns the line with this message.
func (d *devop) next(t *testing.T, msg string) line {
	t.Helper()
	l, ok := <-d.lines
	if !ok || l.Msg != msg {
		t.Fatalf("log line %+v, want %q", l, msg)
	}
	return l
}

// stop waits for the end, after reading what is left.
func (d *devop) stop() int {
	for range d.lines {
	}
	_ = d.Wait()
	return d.ProcessState.ExitCode()
}

func secretFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServesAndStops(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			d := start(t, "--listen=127.0.0.1:0", "--client-id=app", "--client-secret-file="+secretFile(t),
				"--redirect-uri=http://app.test/a", "--redirect-uri=http://app.test/b", "--access-token-life=10s")
			ready := d.next(t, "provider ready")
			if ready.Issuer != "http://"+ready.Address || strings.HasSuffix(ready.Address, ":0") {
				t.Fatalf("ready line %+v", ready)
			}
			var found struct{ Issuer string }
			get(t, ready.Issuer+"/.well-known/openid-configuration", &found)
			if found.Issuer != ready.Issuer {
				t.Errorf("issuer %q, want %q", found.Issuer, ready.Issuer)
			}
			held := hold(t, ready.Issuer)
			if err := d.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if code := d.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if err := <-held; err == nil {
				t.Error("a POST held at the stop was answered")
			}
		})
	}
}

// hold leaves a token POST waiting at the provider, with the right secret: only
// a stop that drops it is quick.
func hold(t *testing.T, issuer string) <-chan error {
	t.Helper()
	body, err := json.Marshal(op.Control{Fault: &op.Fault{HoldBefore: true}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(issuer+"/_control", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	done := make(chan error, 1)
	go func() {
		response, err := http.PostForm(issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}})
		if err == nil {
			_ = response.Body.Close()
		}
		done <- err
	}()
	for l := (op.Ledger{}); l.Held != 1; {
		get(t, issuer+"/_ledger", &l)
	}
	return done
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func TestLogsEvents(t *testing.T) {
	t.Parallel()
	d := start(t, "--listen=127.0.0.1:0", "--client-secret-file="+secretFile(t), "--redirect-uri=http://app.test/")
	ready := d.next(t, "provider ready")
	query := url.Values{
		"response_type": {"code"}, "client_id": {"lamplighter"}, "redirect_uri": {"http://app.test/"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"},
	}
	response, err := http.Get(ready.Issuer + "/authorize?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err = client.PostForm(response.Request.URL.String(), url.Values{"username": {"ada"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if l := d.next(t, "provider event"); l.Kind != "login" || l.Client != "lamplighter" {
		t.Errorf("log line %+v", l)
	}
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel subtests
	secret := "--client-secret-file=" + secretFile(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const free, uri = "--listen=127.0.0.1:0", "--redirect-uri=http://app.test/"
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"taken port":      {[]string{"--listen=" + taken.Addr().String(), secret, uri}, "taken; choose another with --listen"},
		"no secret":       {[]string{free, uri}, "--client-secret-file"},
		"missing secret":  {[]string{free, uri, "--client-secret-file=" + empty + ".not"}, "no such file"},
		"empty secret":    {[]string{free, uri, "--client-secret-file=" + empty}, "is empty"},
		"no redirect uri": {[]string{free, secret}, "redirect uri"},
		"wrong issuer":    {[]string{free, secret, uri, "--issuer=http://op.test/realm"}, "issuer"},
		"unknown flag":    {[]string{"--isuer=x"}, "unknown flag"},
		"an argument":     {[]string{"serve"}, "serve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // or a start would hang the test
			defer cancel()
			var stderr bytes.Buffer
			if code := run(ctx, c.args, io.Discard, &stderr); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			var l line
			if err := json.Unmarshal(stderr.Bytes(), &l); err != nil || l.Level != "ERROR" {
				t.Fatalf("not one line: %s", stderr.String())
			}
			if !strings.Contains(l.Error, c.says) {
				t.Errorf("error %q does not say %q", l.Error, c.says)
			}
		})
	}
}
