package redisstore

import (
	"context"
	"embed"
	"fmt"

	"github.com/redis/rueidis"
)

//go:embed lua
var lua embed.FS

// scripts are read once a store.
type scripts struct {
	create, begin, extend, commit, fail, end, touch, due, reap, list *rueidis.Lua
}

func readScripts() (s scripts, err error) {
	for name, to := range map[string]**rueidis.Lua{
		"create": &s.create, "begin": &s.begin, "extend": &s.extend, "commit": &s.commit, "fail": &s.fail,
		"end": &s.end, "touch": &s.touch,
	} {
		if *to, err = read("session", name); err != nil {
			return s, err
		}
	}
	for name, to := range map[string]**rueidis.Lua{"due": &s.due, "reap": &s.reap, "list": &s.list} {
		if *to, err = read(name); err != nil {
			return s, err
		}
	}
	return s, nil
}

func read(names ...string) (*rueidis.Lua, error) {
	var body string
	for _, name := range names {
		b, err := lua.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return nil, fmt.Errorf("read script: %w", err)
		}
		body += string(b)
	}
	return rueidis.NewLuaScript(body), nil
}

// each runs one script in many shards at once.
func (s *Store) each(ctx context.Context, l *rueidis.Lua, calls []rueidis.LuaExec) []rueidis.RedisResult {
	return l.ExecMulti(ctx, s.client, calls...)
}
