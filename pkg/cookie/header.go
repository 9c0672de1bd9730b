package cookie

import (
	"iter"
	"strings"
)

// ows is the optional white space of RFC 9110 section 5.6.3.
const ows = " \t"

// Header is the Cookie header of one request. It keeps the strings it was made
// of and is safe for concurrent use.
type Header struct {
	lines  []string
	merged bool
}

// Raw takes the Cookie lines of a request, one string a line, in order (Envoy:
// the header_map entries of encode_raw_headers).
func Raw(lines []string) Header { return Header{lines: lines} }

// Merged takes a single value in which several lines may have been joined by
// commas (Envoy: the headers map without encode_raw_headers).
func Merged(value string) Header { return Header{lines: []string{value}, merged: true} }

// Find yields, in order, the value of every cookie with exactly this name,
// verbatim, duplicates included. In the merged form it must only be asked for
// cookies of ours: see the package comment. It does not allocate.
func (h Header) Find(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h.lines {
			for from := 0; from < len(line); {
				end := h.end(line, from)
				if got, value, ok := pair(line[from:end]); ok && got == name && !yield(value) {
					return
				}
				from = end + 1
			}
		}
	}
}

// Match is Find for a family of names: it yields name and value of every cookie
// whose name ours accepts.
func (h Header) Match(ours func(name string) bool) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, line := range h.lines {
			for from := 0; from < len(line); {
				end := h.end(line, from)
				if name, value, ok := pair(line[from:end]); ok && ours(name) && !yield(name, value) {
					return
				}
				from = end + 1
			}
		}
	}
}

// Strip returns the one Cookie value to send upstream: the lines joined by "; "
// without the cookies whose name drop accepts. Text between two cookies that
// stay is not touched. The result is empty when no cookie is left: the header
// must then be removed, because an empty one would be sent as such. changed
// says whether anything was dropped.
//
// A crumb without "=" counts as a name here: some servers read it so.
func (h Header) Strip(drop func(name string) bool) (joined string, changed bool) {
	var kept segments
	for _, line := range h.lines {
		start := 0
		for from := 0; from < len(line); {
			end := h.end(line, from)
			if name, _, _ := pair(line[from:end]); name != "" && drop(name) {
				kept.add(line[start:max(start, from-1)]) // without the separator before us
				start, changed = end+1, true
			}
			from = end + 1
		}
		kept.add(line[min(start, len(line)):])
	}
	return kept.join(), changed
}

// end returns the index of the separator that ends the crumb at from.
func (h Header) end(line string, from int) int {
	var n int
	if h.merged {
		n = strings.IndexAny(line[from:], ";,")
	} else {
		n = strings.IndexByte(line[from:], ';')
	}
	if n < 0 {
		return len(line)
	}
	return from + n
}

// pair splits a crumb; ok tells whether it has a "=".
func pair(crumb string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(crumb, "=")
	return strings.Trim(name, ows), strings.Trim(value, ows), ok
}

// segments collects the runs of text that stay. One run, the usual case, is
// returned as the substring it is.
type segments struct {
	first string
	rest  []string
}

func (s *segments) add(text string) {
	text = strings.Trim(text, ";"+ows)
	switch {
	case text == "":
	case s.first == "":
		s.first = text
	default:
		s.rest = append(s.rest, text)
	}
}

func (s *segments) join() string {
	if len(s.rest) == 0 {
		return s.first
	}
	return s.first + "; " + strings.Join(s.rest, "; ")
}
