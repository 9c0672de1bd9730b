-- A session that another store has ended. ARGV: 3 grace, 4 until, 5 reason, 6 at, 7 history
local f, all = load()
if f.reason then return {'ended', all} end
if f.head then return {'exists'} end
set({reason = ARGV[5], at = ARGV[6], ends = ARGV[4], history = ARGV[7]})
expire(ARGV[4], ARGV[3])
redis.call('ZADD', ENDS, score(ARGV[4]), ID)
return {'ok'}
