package config

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxSource = 1 << 20 // bytes
	maxTokens = 50_000  // the parser's time grows with the square of the keys side by side
	maxDepth  = 32      // brackets or dashes open at once; the parser recurses
)

// body reads the source into the syntax tree of its one document: nil when there
// is none, or when the source cannot be read, which is then complained about.
func (l *ledger) body(src []byte) ast.Node {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if len(src) > maxSource {
		l.add(place{line: 1, column: 1}, "", "is larger than 1 MiB", "write a configuration")
		return nil
	}
	if n := invalidUTF8(src); n >= 0 {
		at := place{line: 1 + bytes.Count(src[:n], []byte("\n")), column: 1}
		l.add(at, "", "has bytes that are not UTF-8", "save the file as UTF-8")
		return nil
	}
	tokens := lexer.Tokenize(string(src))
	if len(tokens) > maxTokens {
		l.add(place{line: 1, column: 1}, "", fmt.Sprintf("has more than %d words and marks", maxTokens), "write a configuration")
		return nil
	}
	if at, deep := tooDeep(tokens); deep {
		l.add(at, "", "is nested too deeply", fmt.Sprintf("nest at most %d levels", maxDepth))
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // we name both lines of a duplicate
	if err != nil {
		l.addSyntax(err, src)
		return nil
	}
	return l.only(file)
}

// only returns the first document and refuses what else there is.
func (l *ledger) only(file *ast.File) (first ast.Node) {
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.NullNode: // an empty one
		case *ast.DirectiveNode:
			l.note(placeOf(body), "", "has a YAML directive", "remove the line that starts with %")
		default:
			if first != nil {
				l.note(placeOf(body), "", "has a second document", "keep one, without --- between")
				return first
			}
			first = body
		}
	}
	return first
}

func invalidUTF8(src []byte) int {
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// tooDeep guards the recursion of the parser: it counts open flow brackets, and
// the block indicators that can pile up on one line.
func tooDeep(tokens token.Tokens) (place, bool) {
	open, piled, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			piled, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open++
		case token.MappingEndType, token.SequenceEndType:
			open--
		case token.SequenceEntryType:
			piled++
		}
		if open > maxDepth || piled > maxDepth {
			return place{line: t.Position.Line, column: t.Position.Column}, true
		}
	}
	return place{}, false
}

// addSyntax turns the parser's error into one complaint that shows the line.
func (l *ledger) addSyntax(err error, src []byte) {
	at, message := place{line: 1, column: 1}, "it cannot be read"
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		message = printable(syntax.Message)
		if syntax.Token != nil && syntax.Token.Position != nil {
			at = place{line: syntax.Token.Position.Line, column: syntax.Token.Position.Column}
		}
	}
	l.add(at, "", "is not YAML: "+message, "look at: "+excerpt(src, at.line))
}

// excerpt shows a line of the source, without the value when its key says that
// it may be a secret.
func excerpt(src []byte, line int) string {
	lines := strings.Split(string(src), "\n")
	if line < 1 || line > len(lines) {
		return "the end of the file"
	}
	text := strings.TrimSpace(lines[line-1])
	lower := strings.ToLower(text)
	for _, word := range []string{"secret", "passw", "token", "key", "credential"} {
		if strings.Contains(lower, word) {
			key, _, _ := strings.Cut(text, ":")
			return quoteLine(key + ": (not shown)")
		}
	}
	return quoteLine(text)
}

// printable keeps a complaint on one line: the parser quotes raw characters.
func printable(message string) string {
	quoted := strconv.Quote(message)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func quoteLine(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// placeOf is where a value starts; a block mapping starts with its first key.
func placeOf(n ast.Node) place {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return placeOf(m.Values[0])
		}
	case *ast.MappingValueNode:
		return placeOf(m.Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return place{line: t.Position.Line, column: t.Position.Column}
	}
	return place{line: 1, column: 1}
}
