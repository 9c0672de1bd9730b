// Command scratchbase writes a base image of nothing, for linux on amd64 and arm64, as an OCI
// image layout into a new folder, and prints its reference. ko knows no "scratch": it takes a
// base image from a registry, or from the layout in $KOCACHE/img when the reference has a
// digest that is there. The reference is of localhost, so that nothing is fetched if it is not.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
)

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int       `json:"size"`
	Platform  *platform `json:"platform,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type config struct {
	platform
	Config struct{} `json:"config"`
	RootFS rootFS   `json:"rootfs"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: scratchbase FOLDER")
		os.Exit(2)
	}
	reference, err := write(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "scratchbase:", err)
		os.Exit(1)
	}
	fmt.Println(reference)
}

// layout is the folder of one, and the first error of writing to it.
type layout struct {
	dir string
	err error
}

func write(dir string) (reference string, err error) {
	l := layout{dir: dir}
	l.err = os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755)
	images := index{SchemaVersion: 2, MediaType: typeIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		p := platform{Architecture: arch, OS: "linux"}
		one := l.blob(typeManifest, manifest{
			SchemaVersion: 2, MediaType: typeManifest, Layers: []descriptor{},
			Config: l.blob(typeConfig, config{platform: p, RootFS: rootFS{Type: "layers", DiffIDs: []string{}}}),
		})
		one.Platform = &p
		images.Manifests = append(images.Manifests, one)
	}
	top := l.blob(typeIndex, images)
	// ko looks for each of them here, and not below the index.
	l.file("index.json", encode(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: append(images.Manifests, top)}))
	l.file("oci-layout", []byte(`{"imageLayoutVersion": "1.0.0"}`))
	return "localhost/scratch@" + top.Digest, l.err
}

// blob writes a document under its digest.
func (l *layout) blob(mediaType string, document any) descriptor {
	b := encode(document)
	sum := fmt.Sprintf("%x", sha256.Sum256(b))
	l.file(filepath.Join("blobs", "sha256", sum), b)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: len(b)}
}

func (l *layout) file(name string, content []byte) {
	l.err = errors.Join(l.err, os.WriteFile(filepath.Join(l.dir, name), content, 0o644))
}

func encode(document any) []byte {
	b, err := json.Marshal(document)
	if err != nil {
		panic(err) // structs of strings and numbers
	}
	return b
}
