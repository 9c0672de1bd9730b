-- ARGV: 3 revision or 0, 4 attempt, 5 owner, 6 hold in µs, 7 replay_at, 8 force,
-- 9 by, 10 newest revision ever seen
local f, all = load()
local why = gone(f)
if why then return {why, all} end
local rev, lost = ARGV[3], tonumber(f.revision) < tonumber(ARGV[10])
-- A failover has lost a revision that was seen: its refresh token is spent. Whoever
-- remembers more has until the replay.
if lost then redis.pcall('PUBLISH', string.match(S, '^(.-):{') .. ':lost', ID) end
if lost and not f.doubt then
  f.doubt, f.replay_at = '1', later(f.replay_at, ARGV[7])
  set({doubt = '1', replay_at = f.replay_at})
end
if rev ~= '0' and rev ~= f.revision and not lost then return {'moved', all} end
if holds(f, ARGV[4]) then return {'ok', all} end
if f.attempt and NOW < f.lease then return {'busy', all} end
if ARGV[8] ~= '1' and ahead(f.not_before) then return {'not_yet', all} end
if (f.doubt or f.attempt) and ahead(f.replay_at) then return {'not_yet', all} end

f.attempt_doubt = (f.doubt or f.attempt) and '1' or ''
f.doubt = f.attempt_doubt
f.attempt = ARGV[4]
f.found = f.replay_at or ''
f.replay_at = ARGV[7]
redis.call('HINCRBY', S, 'fence', 1)
redis.call('HINCRBY', S, 'tries', 1)
if f.doubt == '' then f.doubt = nil end
local at = due(f)
place(f, at, false)
set({
  attempt = f.attempt, attempt_doubt = f.attempt_doubt, doubt = f.attempt_doubt, found = f.found, replay_at = f.replay_at,
  owner = ARGV[5], by = ARGV[9], began = NOW, due = at,
  lease = string.format('%016.0f000', NOW_US + tonumber(ARGV[6])),
})
return {'ok', redis.call('HGETALL', S)}
