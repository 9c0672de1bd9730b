package main

import (
	"bufio"
	"encoding/json"
	"io"
)

// entry is one line of a program's JSON log.
type entry map[string]any

func (e entry) text(key string) string {
	s, _ := e[key].(string)
	return s
}

// follow reads a log to its end. Lines that are no JSON, and warnings, are shown
// as they are: they are what a person wants to see when something does not start.
func (d *demo) follow(r io.Reader, name string, read func(entry)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.text("level") == "ERROR" || e.text("level") == "WARN" {
			d.say("%-11s  %s", name, lines.Text())
			continue
		}
		read(e)
	}
	_, _ = io.Copy(io.Discard, r) // a line too long: keep the writer going
}

// tellProvider prints what the provider saw: the proof that each refresh was
// asked for once comes from its side.
func (d *demo) tellProvider(e entry, issuer chan<- string) {
	if e.text("msg") == "provider ready" {
		issuer <- e.text("issuer")
		return
	}
	switch e.text("kind") {
	case "login":
		d.say("login        the provider signed a user in")
	case "refresh":
		d.say("refresh      %s: the provider exchanged refresh token %v for the next", e.text("family"), e["generation"])
	case "reuse":
		d.say("reuse        %s: refresh token %v came a second time, the family is revoked", e.text("family"), e["generation"])
	case "logout":
		d.say("logout       the provider ended a session")
	}
}

// tellLamplighter prints what the lamplighter at a place has done.
func (d *demo) tellLamplighter(e entry, place string, listening chan<- string) {
	switch e.text("msg") {
	case "listening":
		listening <- e.text("admin")
	case "session created":
		d.say("session      %s begins%s", e.text("session"), place)
	case "sweep started refreshes":
		d.say("sweep        %v due, %v refreshes started%s", e["due"], e["started"], place)
	case "token refreshed":
		d.say("refreshed    session %s is at revision %v, by %s%s", e.text("session"), e["revision"], e.text("by"), place)
	case "session ended":
		d.say("session      %s ends: %s%s", e.text("session"), e.text("reason"), place)
	}
}
