-- ARGV: 3 attempt, 4 lease in µs
local f, all = load()
local why = gone(f)
if why then return {why, all} end
if not holds(f, ARGV[3]) then return {'moved'} end
set({lease = later(f.lease, string.format('%016.0f000', NOW_US + tonumber(ARGV[4])))})
return {'ok'}
