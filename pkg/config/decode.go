package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decode sets v from node and complains about everything that does not fit.
// What does not fit keeps its default.
func (l *ledger) decode(node ast.Node, v reflect.Value, f field, path string) {
	l.values[path] = placeOf(node)
	if what, fix := refused(node); what != "" {
		l.add(placeOf(node), path, what, fix)
		return
	}
	if _, null := node.(*ast.NullNode); null {
		l.add(l.keys[path], path, "has no value", "write one, or remove the key")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(newDefault(v.Type().Elem()))
		l.decode(node, v.Elem(), f, path)
	case reflect.Struct:
		l.decodeStruct(node, v, path)
	case reflect.Map:
		l.decodeMap(node, v, path)
	case reflect.Slice:
		l.decodeList(node, v, path)
	default:
		l.decodeScalar(node, v, f, path)
	}
}

// refused names the parts of YAML that hide what a line says.
func refused(node ast.Node) (what, fix string) {
	switch node.(type) {
	case *ast.AnchorNode:
		return "has an anchor (&)", "write the value alone"
	case *ast.AliasNode:
		return "is an alias (*)", "write the value out"
	case *ast.TagNode:
		return "has a tag (!)", "write the value alone"
	}
	return "", ""
}

// entries yields the keys of a mapping that are text and not there twice.
func (l *ledger) entries(node ast.Node, path, want string, yield func(key string, at place, value ast.Node)) {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		l.add(placeOf(node), path, "is "+kind(node)+", not a mapping", "write "+want)
		return
	}
	first := make(map[string]int)
	for _, pair := range mapping.Values {
		at := placeOf(pair.Key)
		if _, merge := pair.Key.(*ast.MergeKeyNode); merge {
			l.add(at, path, "has a merge key (<<)", "write the keys out")
			continue
		}
		text, ok := pair.Key.(*ast.StringNode)
		if !ok {
			l.add(at, path, "has a key that is not plain text", "put the key in quotes")
			continue
		}
		if line, twice := first[text.Value]; twice {
			l.note(at, join(path, text.Value), fmt.Sprintf("is given twice, first in line %d", line), "keep one of them")
			continue
		}
		first[text.Value] = at.line
		yield(text.Value, at, pair.Value)
	}
}

func (l *ledger) decodeStruct(node ast.Node, v reflect.Value, path string) {
	known := fields(v.Type())
	l.entries(node, path, "its keys: "+some(known), func(key string, at place, value ast.Node) {
		for _, f := range known {
			if f.name == key {
				l.keys[join(path, key)] = at
				l.decode(value, v.Field(f.index), f, join(path, key))
				return
			}
		}
		l.add(at, join(path, key), "is not a key of the configuration", hint(key, known))
	})
}

// hint names the key that was probably meant, or those that exist.
func hint(key string, known []field) string {
	if near := nearest(key, names(known)); near != "" {
		return "did you mean " + near + "?"
	}
	for at := range scalars(reflect.TypeFor[Config]()) {
		if strings.HasSuffix(at, "."+key) {
			return "did you mean " + at + "?"
		}
	}
	return "known here: " + some(known)
}

func some(known []field) string {
	if len(known) == 0 {
		return "none, write {}"
	}
	return strings.Join(names(known), ", ")
}

func names(known []field) []string {
	all := make([]string, len(known))
	for i, f := range known {
		all[i] = f.name
	}
	return all
}

func (l *ledger) decodeMap(node ast.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	l.entries(node, path, "name: value pairs", func(key string, at place, value ast.Node) {
		element := newDefault(v.Type().Elem()).Elem()
		l.keys[join(path, key)] = at
		l.decode(value, element, field{name: key}, join(path, key))
		v.SetMapIndex(reflect.ValueOf(key), element)
	})
}

func (l *ledger) decodeList(node ast.Node, v reflect.Value, path string) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		l.add(placeOf(node), path, "is "+kind(node)+", not a list", "write [a, b], or one - line for each")
		return
	}
	v.SetZero() // a given list replaces the default
	for i, item := range list.Values {
		at, element := fmt.Sprintf("%s[%d]", path, i), newDefault(v.Type().Elem()).Elem()
		l.keys[at] = placeOf(item)
		l.decode(item, element, field{}, at)
		v.Set(reflect.Append(v, element))
	}
}

// decodeScalar insists on the YAML type: a number in quotes is text, and text
// that YAML reads as a number needs quotes.
func (l *ledger) decodeScalar(node ast.Node, v reflect.Value, f field, path string) {
	text, isText, ok := scalar(node)
	switch {
	case !ok:
		l.add(placeOf(node), path, "is "+kind(node)+", not a single value", "write one value")
	case v.Kind() == reflect.String && !isText && len(f.enum) == 0:
		l.add(placeOf(node), path, "is "+kind(node)+", not text", "put it in quotes")
	case (v.Kind() == reflect.Int || v.Kind() == reflect.Bool) && quoted(node):
		l.add(placeOf(node), path, "is text because of its quotes", "write it without")
	default:
		if wrong := f.set(v, text); wrong != nil {
			l.add(placeOf(node), path, wrong.what, wrong.fix)
		}
	}
}

func scalar(node ast.Node) (text string, isText, ok bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true, true
	case *ast.LiteralNode:
		return n.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, false, true
	}
	return "", false, false
}

func quoted(node ast.Node) bool {
	_, block := node.(*ast.LiteralNode)
	t := node.GetToken().Type
	return block || t == token.DoubleQuoteType || t == token.SingleQuoteType
}

func kind(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.BoolNode:
		return "a boolean"
	}
	return "a number"
}
