package manifest

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

//go:embed *.tmpl
var texts embed.FS

// render writes the template of that name, or nothing.
func render(w io.Writer, name string, values any) error {
	t, err := template.New(name).Funcs(template.FuncMap{"quote": strconv.Quote, "own": own}).ParseFS(texts, "*.tmpl")
	if err != nil {
		return fmt.Errorf("render manifest: %w", err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return fmt.Errorf("render manifest: %w", err)
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

var objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// named is a name that has to be one of an object of Kubernetes.
type named struct{ what, name string }

// checkNames complains about the first that is none.
func checkNames(all ...named) error {
	for _, n := range all {
		if n.name == "" {
			return fmt.Errorf("name the %s", n.what)
		}
		if !objectName.MatchString(n.name) {
			return fmt.Errorf("name the %s: %q is no name of an object of Kubernetes", n.what, n.name)
		}
	}
	return nil
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// own is the name of an object for one workload, route or namespace. With a name for
// all, the next one's would take its place, and nobody would be asked about the first.
func own(parts ...string) string {
	var words []string
	for _, part := range parts {
		if part = strings.Trim(notInName.ReplaceAllString(strings.ToLower(part), "-"), "-"); part != "" {
			words = append(words, part)
		}
	}
	return strings.Join(words, "-")
}
