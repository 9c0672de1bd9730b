-- Lists sessions that are over, and drops old tombstones. KEYS: 2 used, 3 ends.
-- ARGV: 4 now, 5 unused since, 6 limit
if not mine() then return {} end
local limit, over, seen = tonumber(ARGV[6]), {}, {}
local function list(id)
  if not seen[id] and #over < limit then over[#over + 1] = id end
  seen[id] = true
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.sub(ARGV[4], 1, 16), 'LIMIT', 0, 1000)) do
  local f = redis.call('HMGET', key(id), 'reason', 'ends')
  if not f[2] then
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
  elseif f[2] <= ARGV[4] then
    if f[1] then
      redis.call('DEL', key(id))
      redis.call('ZREM', KEYS[3], id)
    else
      list(id)
    end
  end
end
if ARGV[5] ~= '' then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.sub(ARGV[5], 1, 16), 'LIMIT', 0, limit)) do
    local used = redis.call('HGET', key(id), 'used')
    if used and used < ARGV[5] then list(id) end
  end
end
return over
