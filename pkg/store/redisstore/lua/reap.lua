-- Lists a shard's sessions that are over, and drops old tombstones. KEYS: 1 due,
-- 2 used, 3 ends. ARGV: 1 prefix of the sessions' keys, 2 now, 3 unused since, 4 limit
local function key(id)
  return ARGV[1] .. (string.gsub(id, '.', function(c) return string.format('%02x', string.byte(c)) end))
end
local limit, over, seen = tonumber(ARGV[4]), {}, {}
local function list(id)
  if not seen[id] and #over < limit then over[#over + 1] = id end
  seen[id] = true
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.sub(ARGV[2], 1, 16), 'LIMIT', 0, 1000)) do
  local f = redis.call('HMGET', key(id), 'reason', 'head', 'ends')
  if not f[3] then
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
  elseif f[3] <= ARGV[2] then
    if f[1] then
      redis.call('DEL', key(id))
      redis.call('ZREM', KEYS[3], id)
    else
      list(id)
    end
  end
end
if ARGV[3] ~= '' then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.sub(ARGV[3], 1, 16), 'LIMIT', 0, limit)) do
    local used = redis.call('HGET', key(id), 'used')
    if used and used < ARGV[3] then list(id) end
  end
end
return over
