package config

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
)

// Load reads the configuration from a file and lets environ ("NAME=value", as
// os.Environ gives it) override scalars. The error is an *Error that holds
// everything that is wrong, or tells that the file cannot be read.
func Load(path string, environ []string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("read config: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return Config{}, fmt.Errorf("read config: %w", err)
	}
	return parse(path, src, environ)
}

// Parse is Load for a source that is not in a file: complaints name "config".
func Parse(src []byte, environ []string) (Config, error) {
	return parse("config", src, environ)
}

func parse(file string, src []byte, environ []string) (Config, error) {
	l, c := newLedger(file), Default()
	root := reflect.ValueOf(&c).Elem()
	if body := l.body(src); body != nil {
		l.decode(body, root, field{}, "")
	}
	l.overlay(environ, root)
	if !l.bad[""] { // else every key would be missing, too
		l.require(root, "")
		l.check(&c)
	}
	if err := l.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// require complains about every required key that is absent or empty. Of an
// absent section it names the keys that are required in it.
func (l *ledger) require(v reflect.Value, path string) {
	for _, f := range fields(v.Type()) {
		fv, at := v.Field(f.index), join(path, f.name)
		if !l.sound(at) {
			continue
		}
		_, given := l.values[at]
		switch fv.Kind() {
		case reflect.Struct:
			if f.required && !given && f.example != "" {
				l.wrong(at, "is missing", "write "+f.name+": "+f.example)
				continue
			}
			l.require(fv, at)
		case reflect.Pointer:
			if !fv.IsNil() {
				l.require(fv.Elem(), at)
			}
		case reflect.Slice:
			if f.required && fv.Len() == 0 {
				l.wrong(at, map[bool]string{true: "is empty", false: "is missing"}[given], "write "+f.name+": ["+f.example+"]")
			}
			for i := range fv.Len() {
				if fv.Index(i).Kind() == reflect.Struct {
					l.require(fv.Index(i), at+"["+strconv.Itoa(i)+"]")
				}
			}
		default:
			if f.required && fv.IsZero() {
				l.wrong(at, map[bool]string{true: "is empty", false: "is missing"}[given], "write "+f.name+": "+f.example)
			}
		}
	}
}
