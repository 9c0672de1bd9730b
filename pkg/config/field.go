package config

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
)

// field is what the tags say about one key.
type field struct {
	name     string
	index    int // of the Go field
	required bool
	example  string
	defaults []string
	enum     []string
	min, max string // in the syntax of the value
}

// fields lists the keys of a struct type, in order.
func fields(t reflect.Type) []field {
	all := make([]field, t.NumField())
	for i := range all {
		f, sf := &all[i], t.Field(i)
		f.name, f.index = sf.Tag.Get("yaml"), i
		for option := range strings.SplitSeq(sf.Tag.Get("jsonschema"), ",") {
			key, value, _ := strings.Cut(option, "=")
			switch key {
			case "required":
				f.required = true
			case "example":
				f.example = value
			case "default":
				f.defaults = append(f.defaults, value)
			case "enum":
				f.enum = append(f.enum, value)
			case "minimum":
				f.min = value
			case "maximum":
				f.max = value
			}
		}
	}
	return all
}

// join appends a key to a path; a key that is no plain word is quoted.
func join(path, key string) string {
	switch {
	case !isWord(key):
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

func isWord(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
}

// isScalar tells values that one piece of text can set.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Int64, reflect.Bool:
		return true
	}
	return false
}

// scalars yields the path of every scalar outside lists and maps, with the
// fields that lead to it.
func scalars(t reflect.Type) iter.Seq2[string, []field] {
	return func(yield func(string, []field) bool) { walkScalars(t, "", nil, yield) }
}

func walkScalars(t reflect.Type, path string, way []field, yield func(string, []field) bool) bool {
	for _, f := range fields(t) {
		ft := t.Field(f.index).Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		to, at := append(slices.Clip(way), f), join(path, f.name)
		if isScalar(ft) && !yield(at, to) {
			return false
		}
		if ft.Kind() == reflect.Struct && !walkScalars(ft, at, to, yield) {
			return false
		}
	}
	return true
}

// set parses text into a scalar and checks choices and bounds.
func (f field) set(v reflect.Value, text string) *fault {
	var parse func(string) (int64, *fault)
	switch v.Interface().(type) {
	case Duration:
		parse = parseDuration
	case Bytes:
		parse = parseBytes
	case int:
		parse = parseInt
	case bool:
		if text != "true" && text != "false" {
			return &fault{quote(text) + " is not a boolean", "write true or false"}
		}
		v.SetBool(text == "true")
		return nil
	default:
		return f.setString(v, text)
	}
	n, wrong := parse(text)
	if wrong == nil {
		wrong = f.bound(n, text, parse)
	}
	if wrong == nil {
		v.SetInt(n)
	}
	return wrong
}

func (f field) bound(n int64, text string, parse func(string) (int64, *fault)) *fault {
	low, _ := parse(f.min)
	high, _ := parse(f.max)
	right := "write " + f.min + " to " + f.max
	switch {
	case n < low:
		return &fault{quote(text) + " is too small", right}
	case n > high:
		return &fault{quote(text) + " is too large", right}
	}
	return nil
}

func (f field) setString(v reflect.Value, text string) *fault {
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		last := len(f.enum) - 1
		right := f.enum[last]
		if last > 0 {
			right = strings.Join(f.enum[:last], ", ") + " or " + right
		}
		return &fault{quote(text) + " is not one of the choices", "write " + right}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &fault{"has a control character or line break in it", "write it on one line"}
	}
	v.SetString(text)
	return nil
}

// Default returns the configuration of an empty file: complete but for the
// required keys.
func Default() Config {
	var c Config
	setDefaults(reflect.ValueOf(&c).Elem())
	return c
}

// newDefault makes a value that is filled with its defaults if it is a section.
func newDefault(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if t.Kind() == reflect.Struct {
		setDefaults(v.Elem())
	}
	return v
}

func setDefaults(v reflect.Value) {
	for _, f := range fields(v.Type()) {
		fv := v.Field(f.index)
		switch {
		case fv.Kind() == reflect.Struct:
			setDefaults(fv)
		case fv.Kind() == reflect.Slice:
			for _, text := range f.defaults {
				fv.Set(reflect.Append(fv, reflect.ValueOf(text)))
			}
		case len(f.defaults) > 0:
			if wrong := f.set(fv, f.defaults[0]); wrong != nil {
				panic(fmt.Sprintf("default of %s: %s", f.name, wrong.what)) // a tag above is wrong
			}
		}
	}
}
