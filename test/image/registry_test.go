//go:build image

package image

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
)

// pushed: what `make image` pushes is, byte for byte, what it has left in another
// folder before, from the same sources.
func pushed(l layout) {
	r := &registry{blobs: map[string][]byte{}, tags: map[string]string{}}
	server := httptest.NewServer(r)
	defer server.Close()
	build(l.t, "KO_DOCKER_REPO="+strings.TrimPrefix(server.URL, "http://")+"/you")

	r.mu.Lock()
	defer r.mu.Unlock()
	image := l.image()
	if got := r.tags["you/lamplighter:"+tag]; got != image.Digest {
		l.t.Fatalf("the registry has %q under the tag, want %s; it has %v", got, image.Digest, r.tags)
	}
	all := []descriptor{image}
	for _, d := range l.platforms() {
		m, _ := l.of(d)
		all = append(append(all, d, m.Config), m.Layers...)
	}
	for _, d := range all {
		if string(r.blobs[d.Digest]) != string(l.blob(d)) {
			l.t.Errorf("the registry does not have %s %s", d.MediaType, d.Digest)
		}
	}
}

// registry takes what is pushed, as the OCI distribution specification has it.
type registry struct {
	mu    sync.Mutex
	blobs map[string][]byte // by digest, manifests too
	tags  map[string]string // by name and tag, the digest
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	what, ref := path.Split(strings.TrimPrefix(req.URL.Path, "/v2/"))
	name, kind := path.Split(strings.TrimSuffix(what, "/"))
	name = strings.TrimSuffix(name, "/")
	switch digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body)); {
	case req.URL.Path == "/v2/":
	case req.Method == http.MethodPost: // an upload begins
		w.Header().Set("Location", req.URL.Path+"one")
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodPatch: // its content, in one piece
		r.blobs[digest] = body
		w.Header().Set("Location", req.URL.Path)
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodPut && kind == "manifests":
		r.blobs[digest], r.tags[name+":"+ref] = body, digest
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
	case req.Method == http.MethodPut: // an upload ends
		if r.blobs[req.URL.Query().Get("digest")] == nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	default: // whether it is there: it is sent anyway
		w.WriteHeader(http.StatusNotFound)
	}
}
