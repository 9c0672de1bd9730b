-- What another store had. ARGV: 3 grace, 4 ends, 5 used, 6 due, 7 revision, 8 fence,
-- 9... fields of the hash
local f, all = load()
if f.reason then return {'ended', all} end
if f.head then
  local was, rev = tonumber(f.revision), tonumber(ARGV[7])
  if was > rev or (was == rev and tonumber(f.fence or '0') >= tonumber(ARGV[8])) then return {'exists'} end
  place(f, '', false)
  redis.call('DEL', S)
end
local used = later(f.used, ARGV[5])
redis.call('HSET', S, unpack(ARGV, 9))
set({used = used})
expire(later(ARGV[4], NOW), ARGV[3])
place({}, ARGV[6], true)
redis.call('ZADD', USED, score(used), ID)
redis.call('ZADD', ENDS, score(ARGV[4]), ID)
if f.head then tell(ARGV[7]) end
return {'ok'}
