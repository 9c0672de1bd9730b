package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
)

const envPrefix = "LAMPLIGHTER_"

// variable returns the environment variable that overrides a path.
func variable(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// serviceLink matches what Kubernetes puts into every pod of a namespace with a
// Service called lamplighter or lamplighter-something: nobody wrote it for us.
var serviceLink = regexp.MustCompile(
	`^LAMPLIGHTER_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=(tcp|udp|sctp)://|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=)`)

// overlay sets the scalars that the environment overrides. Of a variable given
// twice the last counts, as in os/exec.
func (l *ledger) overlay(environ []string, root reflect.Value) {
	paths := make(map[string]string)
	ways := make(map[string][]field)
	for path, way := range scalars(root.Type()) {
		paths[variable(path)], ways[path] = path, way
	}
	given := make(map[string]string)
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if _, known := paths[name]; known || strings.HasPrefix(name, envPrefix) && !serviceLink.MatchString(entry) {
			given[name] = text
		}
	}
	for name, text := range given {
		at, path := place{env: name}, paths[name]
		if path == "" {
			l.note(at, "", "is not a variable of the configuration", l.envHint(name, paths))
			continue
		}
		v, f := follow(root, ways[path])
		l.values[path], l.bad[path] = at, false
		for i, b := range path {
			if _, inFile := l.values[path[:i]]; b == '.' && !inFile {
				l.values[path[:i]] = at // the section is given, too
			}
		}
		if wrong := f.set(v, text); wrong != nil {
			l.add(at, path, wrong.what, wrong.fix)
		}
	}
}

func (l *ledger) envHint(name string, paths map[string]string) string {
	all := make([]string, 0, len(paths))
	for known := range paths {
		all = append(all, strings.TrimPrefix(known, envPrefix))
	}
	slices.Sort(all)
	if near := nearest(strings.TrimPrefix(name, envPrefix), all); near != "" {
		return "did you mean " + envPrefix + near + "?"
	}
	return "write " + envPrefix + " and the path of a single value, such as " + variable("log.level")
}

// follow walks to a scalar and makes the optional sections on the way.
func follow(v reflect.Value, way []field) (reflect.Value, field) {
	for _, f := range way {
		v = v.Field(f.index)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(newDefault(v.Type().Elem()))
			}
			v = v.Elem()
		}
	}
	return v, way[len(way)-1]
}
