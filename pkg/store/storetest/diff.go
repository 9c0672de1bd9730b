package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// diff lists the fields in which got is not want. Times are equal as instants
// (a store may lose the location and the monotonic reading, nothing else), an
// empty map is an absent one, and secrets are told by their path alone.
func diff(got, want any) []string {
	var d differences
	d.walk(strings.TrimPrefix(fmt.Sprintf("%T", want), "*"), reflect.ValueOf(got), reflect.ValueOf(want))
	return d
}

type differences []string

func (d *differences) walk(path string, got, want reflect.Value) {
	if got.IsValid() != want.IsValid() || got.IsValid() && got.Type() != want.Type() {
		*d = append(*d, fmt.Sprintf("%s is a %v", path, got))
		return
	}
	if !got.IsValid() {
		return
	}
	switch got.Kind() {
	case reflect.Struct:
		d.walkStruct(path, got, want)
	case reflect.Pointer:
		if got.IsNil() || want.IsNil() {
			d.note(path+" is nil", got.IsNil() == want.IsNil(), got.IsNil(), want.IsNil())
			return
		}
		d.walk(path, got.Elem(), want.Elem())
	case reflect.Map:
		d.note(path, got.Len() == 0 && want.Len() == 0 || reflect.DeepEqual(got.Interface(), want.Interface()), got, want)
	case reflect.Slice:
		if got.Len() != want.Len() {
			d.note(path+": length", false, got.Len(), want.Len())
			return
		}
		for i := range got.Len() {
			d.walk(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i))
		}
	default:
		d.note(path, got.Equal(want), got, want)
	}
}

func (d *differences) walkStruct(path string, got, want reflect.Value) {
	switch w := want.Interface().(type) {
	case time.Time:
		g := got.Interface().(time.Time)
		d.note(path, g.Equal(w), g.UTC(), w.UTC())
	case session.Secret:
		d.note(path, got.Interface() == want.Interface(), "another secret", "the one stored")
	default:
		for i := range want.NumField() {
			d.walk(path+"."+want.Type().Field(i).Name, got.Field(i), want.Field(i))
		}
	}
}

func (d *differences) note(path string, equal bool, got, want any) {
	if !equal {
		*d = append(*d, fmt.Sprintf("%s: got %v, want %v", path, got, want))
	}
}
