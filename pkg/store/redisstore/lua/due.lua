-- A page of who is due. KEYS: 2 the due set. ARGV: 4 before, 5 before less what a sweep
-- that keeps up may be late, 6 used since, 7 limit
if not mine() then return {'', {}} end
local page, next, at, leave = {}, '', 0, {}
local limit, chunk = tonumber(ARGV[7]), 100
repeat
  local members = redis.call('ZRANGE', KEYS[2], at, at + chunk - 1)
  for _, m in ipairs(members) do
    local id = string.sub(m, 4)
    local f = redis.call('HMGET', key(id), 'due', 'revision', 'exp', 'used')
    if not f[1] or string.sub(f[1], 17, 19) ~= string.sub(m, 1, 3) then
      leave[#leave + 1] = m -- its key has run out, with nobody there to end it
    elseif f[1] > ARGV[4] or #page == limit or #leave >= 1000 then
      next = f[1]
      break
    elseif f[4] < ARGV[6] or (f[3] <= ARGV[4] and f[1] < ARGV[5]) then
      leave[#leave + 1] = m
    else
      page[#page + 1] = {id, f[2], f[1], f[3]}
    end
  end
  at = at + chunk
until next ~= '' or #members < chunk
if #leave > 0 then redis.call('ZREM', KEYS[2], unpack(leave)) end
return {next, page}
