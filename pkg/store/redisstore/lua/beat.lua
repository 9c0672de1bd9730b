-- Who is there. KEYS: 1 the replicas. ARGV: 1 time for tests, 2 name, or empty for one
-- that only asks, 3 how long a silent one counts as there, in µs; 0: goodbye. 4 the
-- channel on which this replica hears itself, 5 what it says there. The first answer is
-- why the server takes no writes, the second why nobody can be told; else empty.
local t = redis.call('TIME')
local now = ARGV[1] ~= '' and tonumber(string.sub(ARGV[1], 1, 16)) or tonumber(t[1]) * 1000000 + tonumber(t[2])
if ARGV[3] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[2])
  return {}
end
local function there()
  if ARGV[2] ~= '' then return redis.pcall('ZADD', KEYS[1], string.format('%.0f', now), ARGV[2]) end
end
local refused = there()
-- A server without memory takes what frees some, and after it all the rest.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - tonumber(ARGV[3])))
if type(refused) == 'table' then there() end
local mute = ARGV[2] ~= '' and redis.pcall('PUBLISH', ARGV[4], ARGV[5])
local function why(answer) return type(answer) == 'table' and answer.err or '' end
return {why(refused), why(mute), unpack(redis.call('ZRANGE', KEYS[1], 0, -1))}
