-- KEYS: 1 a subject's set. ARGV: 1 session id, 2 how long it is needed, in ms
redis.call('SADD', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
