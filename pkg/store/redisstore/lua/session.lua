-- One session is one hash, KEYS[1]; its shard has three sorted sets beside it:
-- KEYS[2] who is due, KEYS[3] last uses, KEYS[4] absolute ends. ARGV[1] is the time
-- for tests, empty in production: then the server's clock decides. ARGV[2] is the
-- session id, 32 bytes.
--
-- A time is 19 digits of nanoseconds: exact, where a number of Lua is not, and in
-- the order of text. The empty string is no time, and before every other.
local S, DUE, USED, ENDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ID = ARGV[2]
local CHANGED = string.match(S, '^(.-):{') .. ':changed'

local function micros()
  if ARGV[1] ~= '' then return tonumber(string.sub(ARGV[1], 1, 16)) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- Numbers of Lua hold microseconds exactly.
local NOW_US = micros()
local NOW = ARGV[1] ~= '' and ARGV[1] or string.format('%016.0f000', NOW_US)

local function score(t) return string.sub(t, 1, 16) end

-- The nanoseconds that a score cannot hold stand before the id, so that entries of
-- one microsecond are in order too.
local function member(t) return string.sub(t, 17, 19) .. ID end

local function load()
  local f, all = {}, redis.call('HGETALL', S)
  for i = 1, #all, 2 do f[all[i]] = all[i + 1] end
  return f, all
end

-- gone is why there is no live session in f, else nil.
local function gone(f)
  if f.reason then return 'ended' end
  if not f.head then return 'missing' end
end

local function ahead(t) return t ~= nil and t ~= '' and NOW < t end

local function later(a, b)
  a, b = a or '', b or ''
  if a < b then return b end
  return a
end

-- due is when the sweep should look at f: as planned, or at the replay; later if
-- something holds it back.
local function due(f)
  local at = f.sweep or ''
  if at == '' then return '' end
  if (f.doubt or f.attempt) and (f.replay_at or '') ~= '' then at = f.replay_at end
  return later(at, f.not_before)
end

-- place moves the session in the due set. One that is not there stays away, unless
-- it enters.
local function place(f, at, enters)
  local before = f.due or ''
  local was = before ~= '' and redis.call('ZREM', DUE, member(before)) == 1
  if at ~= '' and (was or enters) then redis.call('ZADD', DUE, score(at), member(at)) end
end

local function holds(f, attempt) return f.attempt ~= nil and f.attempt == attempt end

-- history is f's with one more line, the oldest dropped beyond most.
local function history(f, line, most)
  local lines = {}
  for l in string.gmatch(f.history or '', '[^\n]+') do lines[#lines + 1] = l end
  lines[#lines + 1] = line
  return table.concat(lines, '\n', math.max(1, #lines - most + 1))
end

-- outcome is the history's line for the open attempt of f.
local function outcome(f, class)
  return table.concat({f.began, class, f.revision, f.attempt_doubt and '1' or '0', f.by or ''}, ' ')
end

local function set(fields)
  for k, v in pairs(fields) do
    if v == '' or v == false then redis.call('HDEL', S, k) else redis.call('HSET', S, k, v) end
  end
end

-- expire keeps the key for some time after t: the reaper comes first, to end the
-- session and have its tokens revoked.
local function expire(t, grace_ms)
  local left = (tonumber(score(t)) - NOW_US) / 1000
  redis.call('PEXPIRE', S, string.format('%.0f', math.max(1, left + tonumber(grace_ms))))
end

-- tell tells every replica of a new revision, or of the end: then none is given. It comes
-- after what is to be kept, so a refusal must not make that a failure; the beat reports it.
local function tell(revision) redis.pcall('PUBLISH', CHANGED, ID .. revision) end
