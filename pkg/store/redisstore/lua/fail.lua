-- ARGV: 3 attempt, 4 sent, 5 unknown, 6 class or empty, 7 not_before, 8 replay_at,
-- 9 history length
local f, all = load()
local why = gone(f)
if why then return {why, all} end
if not holds(f, ARGV[3]) then return {'moved'} end
local doubt, replay_at = f.doubt, f.replay_at or ''
if ARGV[4] ~= '1' then
  replay_at = f.found or ''
elseif ARGV[5] == '1' or f.attempt_doubt then
  doubt = '1'
  if ARGV[8] ~= '' then replay_at = ARGV[8] end
else
  replay_at = ''
end
local changed = {doubt = doubt or '', replay_at = replay_at, not_before = ARGV[7]}
if ARGV[6] ~= '' then
  changed.history = history(f, outcome(f, ARGV[6]), tonumber(ARGV[9]))
  changed.last_class = ARGV[6]
end
f.attempt, f.doubt, f.replay_at, f.not_before = nil, doubt, replay_at, ARGV[7]
changed.due = due(f)
place(f, changed.due, false)
redis.call('HDEL', S, 'attempt', 'attempt_doubt', 'owner', 'by', 'began', 'lease', 'found')
redis.call('HINCRBY', S, 'failures', 1)
set(changed)
return {'ok'}
