-- A page of a shard's due set. KEYS: 1 the set. ARGV: 1 prefix of the sessions' keys,
-- 2 before, 3 before less what a sweep that keeps up may be late, 4 used since, 5 limit
local function key(id)
  return ARGV[1] .. (string.gsub(id, '.', function(c) return string.format('%02x', string.byte(c)) end))
end
local page, next, at, leave = {}, '', 0, {}
local limit, chunk = tonumber(ARGV[5]), 100
repeat
  local members = redis.call('ZRANGE', KEYS[1], at, at + chunk - 1)
  for _, m in ipairs(members) do
    local id = string.sub(m, 4)
    local f = redis.call('HMGET', key(id), 'due', 'revision', 'exp', 'used')
    if not f[1] or string.sub(f[1], 17, 19) ~= string.sub(m, 1, 3) then
      leave[#leave + 1] = m -- its key is gone, with nobody there to end it
    elseif f[1] > ARGV[2] or #page == limit or #leave >= 1000 then
      next = f[1]
      break
    elseif f[4] < ARGV[4] or (f[3] <= ARGV[2] and f[1] < ARGV[3]) then
      leave[#leave + 1] = m
    else
      page[#page + 1] = {id, f[2], f[1], f[3]}
    end
  end
  at = at + chunk
until next ~= '' or #members < chunk
if #leave > 0 then redis.call('ZREM', KEYS[1], unpack(leave)) end
return {next, page}
