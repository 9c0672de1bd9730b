//go:build image

package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/installed"
)

const (
	program = "/ko-app/lamplighter"
	user    = "65532:65532"
	uid     = 65532
	tag     = "v1.2.3"
)

// build is `make image` into a new folder.
func build(t *testing.T, env ...string) layout {
	t.Helper()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	l := layout{t, folder(t, root)}
	short, err := filepath.Rel(root, l.dir) // ko takes it for a name, and knows small letters only
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", "--no-print-directory", "image", "IMAGE_DIR="+short, "IMAGE_TAG="+tag)
	cmd.Dir = root
	// Without what the make that runs this test tells its children.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=") || strings.HasPrefix(v, "KO_DOCKER_REPO=")
	}), env...)
	begun := time.Now()
	if err := child.Run(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	t.Logf("make image took %v", time.Since(begun).Round(time.Second))
	return l
}

func folder(t *testing.T, root string) string {
	t.Helper()
	below := filepath.Join(root, ".image")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(below, "test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// The image is the program and nothing else, for two processors, with a user who
// is not root, and with a list of what is in it.
func TestImage(t *testing.T) {
	l := build(t)
	var platforms []string
	for _, d := range l.platforms() {
		name := d.Platform.OS + "/" + d.Platform.Architecture
		platforms = append(platforms, name)
		t.Run(name, func(t *testing.T) {
			l := layout{t, l.dir}
			holds(l, d)
			listed(l, d.Platform.Architecture)
		})
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("the image is for %v, want %v", platforms, want)
	}
	t.Run("pushed", func(t *testing.T) { pushed(layout{t, l.dir}) })
	t.Run("runs", func(t *testing.T) { runs(layout{t, l.dir}) })
}

// holds looks at what one platform gets.
func holds(l layout, d descriptor) {
	m, c := l.of(d)
	if c.OS != d.Platform.OS || c.Architecture != d.Platform.Architecture {
		l.t.Errorf("the image of %v says that it is for %s/%s", d.Platform, c.OS, c.Architecture)
	}
	if c.Config.User != user || !slices.Equal(c.Config.Entrypoint, []string{program}) || len(c.Config.Cmd) > 0 {
		l.t.Errorf("user %q, entrypoint %q, command %q", c.Config.User, c.Config.Entrypoint, c.Config.Cmd)
	}
	if v := c.Config.Labels["org.opencontainers.image.version"]; v != tag {
		l.t.Errorf("the label of version %s is %q", tag, v)
	}
	var binary []byte
	for _, f := range l.files(m) {
		switch {
		case f.Typeflag == tar.TypeDir:
		case f.Name != program || binary != nil:
			l.t.Errorf("the image holds %s too", f.Name)
		default:
			binary = f.content
		}
		if f.Uid != 0 || f.FileInfo().Mode().Perm()&0o022 != 0 {
			l.t.Errorf("%s is %v of user %d: others can change it", f.Name, f.FileInfo().Mode(), f.Uid)
		}
	}
	isStatic(l.t, binary, map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[c.Architecture])
	var packed int64
	for _, layer := range m.Layers {
		packed += layer.Size
	}
	l.t.Logf("%s/%s: user %s, %.1f MB compressed, the binary is %.1f MB", c.OS, c.Architecture, c.Config.User, float64(packed)/1e6, float64(len(binary))/1e6)
}

// isStatic: nothing but the kernel is needed to run it.
func isStatic(t *testing.T, binary []byte, machine elf.Machine) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary wants a loader, which is not there")
		}
	}
	if f.Machine != machine {
		t.Errorf("the binary is for %v, want %v", f.Machine, machine)
	}
}

// listed: the SPDX document beside the image names every module of the binary.
func listed(l layout, arch string) {
	b, err := os.ReadFile(filepath.Join(l.dir, "sbom", "lamplighter-linux-"+arch+".spdx.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	bom := decode[struct {
		SPDXVersion string
		Packages    []struct{ Name string }
	}](l.t, b)
	names := map[string]bool{}
	for _, p := range bom.Packages {
		names[p.Name] = true
	}
	for _, module := range []string{
		"github.com/lamplighter/lamplighter", "google.golang.org/grpc", "go.etcd.io/bbolt", "golang.org/x/crypto/x509roots/fallback",
	} {
		if !names[module] {
			l.t.Errorf("the bill of materials does not name %s", module)
		}
	}
	if !strings.HasPrefix(bom.SPDXVersion, "SPDX-2") {
		l.t.Errorf("no SPDX document: version %q", bom.SPDXVersion)
	}
	l.t.Logf("bill of materials: %s, %d packages", bom.SPDXVersion, len(bom.Packages))
}
