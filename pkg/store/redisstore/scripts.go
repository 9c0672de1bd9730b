package redisstore

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"fmt"

	"github.com/redis/rueidis"
)

//go:embed lua
var lua embed.FS

// script is what a server runs in one step. Servers know it by its SHA-1, once they
// have been told it.
type script struct{ body, sha string }

// scripts are read once a store.
type scripts struct {
	create, begin, extend, commit, fail, end, touch, imports, bury, due, reap, list, beat script
}

func readScripts() (s scripts, err error) {
	for name, to := range map[string]*script{
		"create": &s.create, "begin": &s.begin, "extend": &s.extend, "commit": &s.commit, "fail": &s.fail,
		"end": &s.end, "touch": &s.touch, "import": &s.imports, "bury": &s.bury,
	} {
		if *to, err = read("session", name); err != nil {
			return s, err
		}
	}
	for name, to := range map[string]*script{"due": &s.due, "reap": &s.reap} {
		if *to, err = read("shard", name); err != nil {
			return s, err
		}
	}
	for name, to := range map[string]*script{"list": &s.list, "beat": &s.beat} {
		if *to, err = read(name); err != nil {
			return s, err
		}
	}
	return s, nil
}

// read puts files together: what several share comes first.
func read(names ...string) (script, error) {
	var body string
	for _, name := range names {
		b, err := lua.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return script{}, fmt.Errorf("read script: %w", err)
		}
		body += string(b)
	}
	sum := sha1.Sum([]byte(body))
	return script{body: body, sha: hex.EncodeToString(sum[:])}, nil
}

// call is one run of a script.
type call struct{ keys, args []string }

// run runs a script once.
func (s *Store) run(ctx context.Context, what script, c call) rueidis.RedisResult {
	return s.each(ctx, what, []call{c})[0]
}

// each runs one script many times, in as many shards as there are, side by side.
func (s *Store) each(ctx context.Context, what script, calls []call) []rueidis.RedisResult {
	commands := make(rueidis.Commands, len(calls))
	for i, c := range calls {
		commands[i] = s.client.B().Evalsha().Sha1(what.sha).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()
	}
	answers := s.client.DoMulti(ctx, commands...)
	for i, answer := range answers {
		if refused, ok := rueidis.IsRedisErr(answer.Error()); ok && refused.IsNoScript() { // a server that is new, or was restarted
			c := calls[i]
			answers[i] = s.client.Do(ctx, s.client.B().Eval().Script(what.body).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())
		}
	}
	return answers
}
