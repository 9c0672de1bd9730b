// Package config is the configuration: one struct, [Config], whose tags say
// everything about a key once: its name, default, bounds, choices, whether it
// must be there, and the sentence that explains it. The decoder, the environment
// and the JSON Schema all read those tags.
//
// Who writes a configuration wants to know everything that is wrong with it, not
// the first thing. A YAML decoder stops at its first error, so [Parse] walks the
// syntax tree itself, in three passes that share one list of complaints: the
// source against the struct (unknown and duplicate keys, wrong types, bounds),
// the environment over it, and then the meaning (what must go together). Every
// [Complaint] has a position and says what would be right; none repeats a value
// that could be a secret.
//
// The YAML is the plain part of the language: one document, no anchors, aliases,
// merge keys or tags. A scalar outside lists and maps can be overridden by an
// environment variable: LAMPLIGHTER_ and the path in upper case, joined by "_".
//
// No file named in the configuration is opened here.
package config
