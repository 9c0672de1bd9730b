package chart

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// Schema returns values.schema.json. It asks for nothing: what is needed depends on
// the rest, and the chart's own error lists all of it at once, with the remedy.
func Schema() ([]byte, error) {
	file, err := configSchema()
	if err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		ExpandedStruct:             true,
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[lamplighter]() {
				return file
			}
			return scalar(t)
		},
	}
	schema := r.Reflect(Values{})
	schema.Version = "http://json-schema.org/draft-07/schema#" // the newest that every helm 3 knows
	schema.Title = "values of the lamplighter chart"
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("marshal schema: %w", err)
	}
	return append(out, '\n'), nil
}

func scalar(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	switch t {
	case reflect.TypeFor[object]():
		return &jsonschema.Schema{Type: "object"}
	case reflect.TypeFor[address]():
		return text(`^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):[0-9]{1,5}$`)
	case reflect.TypeFor[digest]():
		return text(`^(sha256:[0-9a-f]{64})?$`)
	case reflect.TypeFor[interval]():
		return text(`^([0-9]+(ms|[smhdwy]))+$`)
	case reflect.TypeFor[amount]():
		zero := json.Number("0")
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: zero}, text(`^[0-9]+%$`)}}
	}
	return nil
}

// configSchema is that of the configuration file, without the demands that the
// chart meets, or makes, itself.
func configSchema() (*jsonschema.Schema, error) {
	text, err := config.Schema()
	if err != nil {
		return nil, err
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read schema of the configuration: %w", err)
	}
	s.Version, s.Title, s.Required = "", "", nil
	for _, path := range [][]string{{"provider"}, {"session"}, {"store"}, {"store", "bolt"}} {
		section := &s
		for _, key := range path {
			property, ok := section.Properties.Get(key)
			if !ok {
				return nil, fmt.Errorf("find %v in the schema of the configuration", path)
			}
			section = property
		}
		section.Required, section.MinProperties = nil, nil
	}
	return &s, nil
}
