package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Complaint is one thing that is wrong with the configuration.
type Complaint struct {
	File         string // as given to Load; "config" from Parse
	Line, Column int    // in File, from 1; 0 if Env is set
	Env          string // the environment variable at fault, if one is
	Key          string // path such as rules[0].match.path_prefix; empty: the file as a whole
	Problem, Fix string // what is wrong; what would be right
}

// String formats c as "file:line:column: key: problem; fix", or with "env NAME"
// for the position.
func (c Complaint) String() string {
	var b strings.Builder
	if c.Env != "" {
		fmt.Fprintf(&b, "env %s: ", c.Env)
	} else {
		fmt.Fprintf(&b, "%s:%d:%d: ", c.File, c.Line, c.Column)
	}
	if c.Key != "" {
		b.WriteString(c.Key + ": ")
	}
	return b.String() + c.Problem + "; " + c.Fix
}

// Error is everything that is wrong with a configuration, in the order of the
// file, then the environment.
type Error struct{ Complaints []Complaint }

// Error puts each complaint on a line of its own.
func (e *Error) Error() string {
	lines := make([]string, len(e.Complaints))
	for i, c := range e.Complaints {
		lines[i] = c.String()
	}
	return strings.Join(lines, "\n")
}

// place is where a value was given.
type place struct {
	line, column int
	env          string
}

// ledger collects complaints and remembers where each key was given.
type ledger struct {
	file       string
	complaints []Complaint
	keys       map[string]place // where the key stands
	values     map[string]place // where its value stands
	bad        map[string]bool  // complained about: no more is said about its meaning
}

func newLedger(file string) *ledger {
	return &ledger{file: file, keys: map[string]place{}, values: map[string]place{}, bad: map[string]bool{}}
}

// add complains about path, and lets nobody else complain about its meaning.
func (l *ledger) add(at place, path, problem, fix string) {
	l.bad[path] = true
	l.note(at, path, problem, fix)
}

func (l *ledger) note(at place, path, problem, fix string) {
	l.complaints = append(l.complaints, Complaint{
		File: l.file, Line: at.line, Column: at.column, Env: at.env, Key: path, Problem: problem, Fix: fix,
	})
}

// wrong complains about a value, at its place or, when it was not given, at the
// key of the nearest section around it.
func (l *ledger) wrong(path, problem, fix string) {
	if at, ok := l.values[path]; ok {
		l.add(at, path, problem, fix)
		return
	}
	l.add(l.around(path), path, problem, fix)
}

func (l *ledger) around(path string) place {
	for path != "" {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
		if at, ok := l.keys[path]; ok {
			return at
		}
	}
	return place{line: 1, column: 1}
}

// sound tells whether nothing was said about any of the paths or what is around them.
func (l *ledger) sound(paths ...string) bool {
	for _, path := range paths {
		for path != "" {
			if l.bad[path] {
				return false
			}
			path = path[:max(0, strings.LastIndexAny(path, ".["))]
		}
	}
	return true
}

func (l *ledger) err() error {
	if len(l.complaints) == 0 {
		return nil
	}
	slices.SortStableFunc(l.complaints, func(a, b Complaint) int {
		return cmp.Or(cmp.Compare(a.Env, b.Env), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{l.complaints}
}
