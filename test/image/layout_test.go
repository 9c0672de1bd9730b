//go:build image

package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is read of the documents of an OCI image layout.
type (
	descriptor struct {
		MediaType string
		Digest    string
		Size      int64
		Platform  struct{ OS, Architecture string }
	}
	index    struct{ Manifests []descriptor }
	manifest struct {
		Config descriptor
		Layers []descriptor
	}
	config struct {
		OS, Architecture string
		Config           struct {
			User            string
			Entrypoint, Cmd []string
			Env             []string
			Labels          map[string]string
		}
	}
)

// layout is a folder that `make image` has left.
type layout struct {
	t   *testing.T
	dir string
}

// blob is the content of that digest, which it is held to.
func (l layout) blob(d descriptor) []byte {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, "oci", "blobs", strings.ReplaceAll(d.Digest, ":", "/")))
	if err != nil {
		l.t.Fatal(err)
	}
	if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(b)); sum != d.Digest || int64(len(b)) != d.Size {
		l.t.Fatalf("%d bytes of %s, want %d of %s", len(b), sum, d.Size, d.Digest)
	}
	return b
}

func decode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}

// image is what the layout holds, for all platforms.
func (l layout) image() descriptor {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, "oci", "index.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	all := decode[index](l.t, b).Manifests
	if len(all) != 1 {
		l.t.Fatalf("%d images, want one: %s", len(all), b)
	}
	return all[0]
}

// platforms are the images of the index.
func (l layout) platforms() []descriptor {
	return decode[index](l.t, l.blob(l.image())).Manifests
}

func (l layout) of(d descriptor) (manifest, config) {
	m := decode[manifest](l.t, l.blob(d))
	return m, decode[config](l.t, l.blob(m.Config))
}

// file is one that an image has.
type file struct {
	*tar.Header
	content []byte
}

// files are those of all layers, the lowest first.
func (l layout) files(m manifest) (all []file) {
	l.t.Helper()
	for _, layer := range m.Layers {
		z, err := gzip.NewReader(bytes.NewReader(l.blob(layer)))
		if err != nil {
			l.t.Fatal(err)
		}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				l.t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				l.t.Fatal(err)
			}
			all = append(all, file{h, content})
		}
	}
	return all
}

// unpack writes files below root, as they would be for the container.
func unpack(t *testing.T, files []file, root string) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(root, f.Name)
		var err error
		switch f.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
				err = os.WriteFile(path, f.content, 0o600)
			}
		default:
			t.Fatalf("%s is neither a file nor a folder", f.Name)
		}
		if err = errors.Join(err, os.Lchown(path, f.Uid, f.Gid), os.Chmod(path, f.FileInfo().Mode().Perm())); err != nil {
			t.Fatal(err)
		}
	}
}
