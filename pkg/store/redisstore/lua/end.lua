-- ARGV: 3 grace, 4 condition, 5 attempt, 6 revision, 7 fence, 8 unused since, 9 reason,
-- 10 verdict or empty, 11 history length
local f, all = load()
local why = gone(f)
if why == 'ended' then return {'ok', {}} end
if why then return {why} end
local held = true
if ARGV[4] == 'attempt' then held = holds(f, ARGV[5]) and f.revision == ARGV[6]
elseif ARGV[4] == 'revision' then held = not f.attempt and f.revision == ARGV[6] and (f.fence or '0') == ARGV[7]
elseif ARGV[4] == 'unused' then held = f.used <= ARGV[8] end
if not held then return {'moved'} end
local lines = f.history or ''
if ARGV[4] == 'attempt' and ARGV[10] ~= '' then lines = history(f, outcome(f, ARGV[10]), tonumber(ARGV[11])) end
place(f, '', false)
redis.call('ZREM', USED, ID)
redis.call('DEL', S)
set({reason = ARGV[9], at = NOW, ends = f.ends, history = lines})
expire(f.ends, ARGV[3])
tell('')
return {'ok', all}
