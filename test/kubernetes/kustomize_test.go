//go:build kubernetes

package kubernetes

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// app is somebody's pod, to which a component adds.
const app = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {lamplighter/sidecar: "true"}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: registry.example.com/web}
`

// components takes each component of k8s into the pods of an app.
func (w *world) components(t *testing.T) {
	root := filepath.Join(w.root, "k8s/kustomize")
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "kustomization.yaml" {
			return err
		}
		found++
		dir := filepath.Dir(path)
		name, err := filepath.Rel(w.root, dir)
		t.Run(name, func(t *testing.T) { w.component(t, name, dir) })
		return err
	})
	if err != nil || found == 0 {
		t.Fatalf("found %d components below %s: %v", found, root, err)
	}
}

func (w *world) component(t *testing.T, name, dir string) {
	t.Helper()
	user := t.TempDir()
	relative, err := filepath.Rel(user, dir)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"app.yaml":           app,
		"kustomization.yaml": "resources: [app.yaml]\ncomponents: [" + relative + "]\n",
	} {
		if err := os.WriteFile(filepath.Join(user, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	made, err := w.Kubectl("", "kustomize", user)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(made, "restartPolicy: Always") {
		t.Errorf("it adds no sidecar:\n%s", made)
	}
	w.accepted(t, name, "kustomize", made)
}
