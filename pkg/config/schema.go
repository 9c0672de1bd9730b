package config

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
)

// Schema returns the JSON Schema (draft 2020-12) of the configuration file, for
// editors and CI. It knows what the tags know; what must go together, only Parse
// knows.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		ExpandedStruct:             true,
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		Mapper:                     mapScalar,
	}
	schema := r.Reflect(Config{})
	schema.Title = "lamplighter configuration"
	describe(schema, reflect.TypeFor[Config]())
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("marshal schema: %w", err)
	}
	return append(out, '\n'), nil
}

func mapScalar(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*$`}
	case reflect.TypeFor[Bytes]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "integer"},
			{Type: "string", Pattern: `^[0-9]+(KiB|MiB|GiB)?$`},
		}}
	}
	return nil
}

// describe adds what the reflector does not take from our types: bounds of
// durations and amounts of memory, which JSON Schema cannot compare, as words.
func describe(s *jsonschema.Schema, t reflect.Type) {
	for _, f := range fields(t) {
		property, _ := s.Properties.Get(f.name)
		ft := t.Field(f.index).Type
		switch ft.Kind() {
		case reflect.Pointer:
			describe(property, ft.Elem())
		case reflect.Struct:
			describe(property, ft)
		case reflect.Slice:
			if ft.Elem().Kind() == reflect.Struct {
				describe(property.Items, ft.Elem())
			}
		case reflect.Int64:
			property.Description += fmt.Sprintf(" %s to %s.", f.min, f.max)
			property.Default = f.defaults[0]
		}
	}
}

// JSONSchemaExtend says that there is exactly one store.
func (Store) JSONSchemaExtend(s *jsonschema.Schema) {
	one := uint64(1)
	s.MinProperties, s.MaxProperties = &one, &one
}
