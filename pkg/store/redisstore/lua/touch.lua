-- ARGV: 3 used
local f = load()
if gone(f) or not (f.used < ARGV[3]) then return {'ok'} end
set({used = ARGV[3]})
redis.call('ZADD', USED, score(ARGV[3]), ID)
place(f, f.due or '', true)
return {'ok'}
