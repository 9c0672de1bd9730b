-- One replica at a time works on a shard, KEYS[1] tells which. ARGV: 1 its name, 2 how
-- long it has the shard from now on, in ms; empty: whoever asks may. 3 prefix of the
-- sessions' keys. What is asked for comes after that.
local function mine()
  if ARGV[2] == '' then return true end
  local who = redis.call('GET', KEYS[1])
  if who and who ~= ARGV[1] then return false end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return true
end

local function key(id)
  return ARGV[3] .. (string.gsub(id, '.', function(c) return string.format('%02x', string.byte(c)) end))
end
