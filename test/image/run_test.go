//go:build image

package image

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/installed"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// The one folder that a container has to let it write, and its configuration.
const (
	writable = "/run/lamplighter"
	settings = "/etc/lamplighter"
)

const allowed = `bff_check_duration_seconds_count{decision="allow"}`

// runs starts lamplighter with the image's files for /, as its user, with its
// environment, behind a real Envoy: it is healthy, logs somebody in, and writes
// nowhere but where it was told to.
func runs(l layout) {
	t := l.t
	if os.Getuid() != 0 {
		t.Fatal("another root and another user are for root to give: run `sudo make test-image`")
	}
	root, c := container(l)
	app := httptest.NewServer(new(echo.API))
	t.Cleanup(app.Close)
	envoy := envoytest.Run(t, envoytest.Options{
		Bootstrap: envoytest.Shipped, AuthzAddress: "unix://" + root + writable + "/check.sock", AppAddress: app.Listener.Addr().String(),
	})
	_, port, _ := strings.Cut(envoy.Addr(), ":")
	url := "http://localhost:" + port
	s := stack.Prepare(t, stack.Options{Provider: func(o *op.Options) { o.Clients[0].RedirectURIs = []string{url + "/auth/callback"} }})
	configure(t, root, s.Issuer, url)
	before := tree(t, root)

	lamp := s.NewLamplighter(t, settings+"/lamplighter.yaml", c.Config.Env)
	lamp.Root, lamp.Program, lamp.UID = root, program, uid
	lamp.Start() // ready, by /readyz
	if got := inside(t, root, c, "health", "--check", "unix://"+writable+"/check.sock"); got != "serving\n" {
		t.Errorf("health is %q", got)
	}
	if v := inside(t, root, c, "version"); !strings.HasPrefix(v, "lamplighter "+stamp(t)) || !strings.HasSuffix(v, runtime.GOOS+"/"+runtime.GOARCH+"\n") {
		t.Errorf("version is %q, want it to begin with %s", v, stamp(t))
	}
	a := stack.NewBrowser(t, url, http.DefaultTransport).Login("/", "alice")
	if a.Bearer(t) == "" || lamp.Metric(allowed) != 1 {
		t.Errorf("after one login and one answer the metrics tell of %v", lamp.Metric(allowed))
	}
	if err := lamp.Terminate(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if after := tree(t, root); !slices.Equal(before, after) {
		t.Errorf("files before:\n%q\nand after:\n%q", before, after)
	}
}

// container is a folder with the files of this machine's image. Its name is
// short: a socket's path is limited.
func container(l layout) (root string, c config) {
	l.t.Helper()
	root, err := os.MkdirTemp("", "image-")
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = os.RemoveAll(root) })
	for _, d := range l.platforms() {
		if d.Platform.Architecture == runtime.GOARCH {
			var m manifest
			m, c = l.of(d)
			unpack(l.t, l.files(m), root)
			return root, c
		}
	}
	l.t.Fatalf("there is no image for %s", runtime.GOARCH)
	return "", c
}

// configure mounts what a pod would: a folder to write to, whose group is that of
// the user, and files to read.
func configure(t *testing.T, root, issuer, url string) {
	t.Helper()
	err := errors.Join(
		os.Chmod(root, 0o755),
		os.MkdirAll(root+writable, 0o755), os.Chown(root+writable, 0, uid), os.Chmod(root+writable, 0o770|fs.ModeSetgid),
		os.MkdirAll(root+settings, 0o755),
	)
	for name, content := range map[string]string{
		"keys":          "k1:" + strings.Repeat("A", 43) + "=\n",
		"client-secret": stack.ClientSecret,
		"lamplighter.yaml": `
listen: {check: "unix://` + writable + `/check.sock", admin: "127.0.0.1:0"}
external_url: ` + url + `
provider: {issuer: "` + issuer + `", client_id: ` + stack.ClientID + `, client_secret_file: ` + settings + `/client-secret, profile: generic}
session: {keys_file: ` + settings + `/keys}
store: {bolt: {path: ` + writable + `/sessions.db}}
`,
	} {
		path := filepath.Join(root+settings, name)
		err = errors.Join(err, os.WriteFile(path, []byte(content), 0o440), os.Chown(path, 0, uid))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// inside runs a command of the program, as `kubectl exec` does.
func inside(t *testing.T, root string, c config, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Dir, cmd.Env = "/", c.Config.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("lamplighter %q: %v: %s", args, err, out)
	}
	return string(out)
}

// stamp is how the version begins that the go command gives these sources.
func stamp(t *testing.T) string {
	t.Helper()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		return "devel"
	}
	return "v"
}

// tree is every file and folder, but for those in the folder to write to.
func tree(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path == root+writable {
			err = fs.SkipDir
		}
		if err == nil {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
