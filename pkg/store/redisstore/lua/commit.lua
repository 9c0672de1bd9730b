-- ARGV: 3 grace, 4 attempt, 5 its revision, 6 the next revision or empty when it is
-- not next, 7 history line, 8 history length, 9 listed under or empty if not to be
-- compared, 10 ends, 11 due, 12... fields of the hash
local f, all = load()
local why = gone(f)
if why then return {why, all} end
if f.committed == ARGV[4] and tonumber(f.revision) == tonumber(ARGV[5]) + 1 then return {'ok'} end
if f.revision ~= ARGV[5] or ARGV[6] == '' then return {'moved'} end
if ARGV[9] ~= '' and f.subjects ~= ARGV[9] then return {'index'} end
local lines = history(f, ARGV[7], tonumber(ARGV[8]))
-- First, since a server without memory takes it, and after it all the rest: what the
-- provider has spent must be kept.
redis.call('HDEL', S, 'attempt', 'attempt_doubt', 'owner', 'by', 'began', 'lease', 'found', 'doubt', 'replay_at',
  'not_before', 'failures', 'last_class', 'tries', 'sweep', 'due')
place(f, ARGV[11], true)
redis.call('HSET', S, 'history', lines, 'committed', ARGV[4], unpack(ARGV, 12))
expire(ARGV[10], ARGV[3])
redis.call('ZADD', ENDS, score(ARGV[10]), ID)
tell(ARGV[6])
return {'ok'}
