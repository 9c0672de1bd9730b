-- ARGV: 3 grace, 4 ends, 5 used, 6 due, 7... fields of the hash
if redis.call('EXISTS', S) == 1 then return {'exists'} end
redis.call('HSET', S, unpack(ARGV, 7))
expire(ARGV[4], ARGV[3])
place({}, ARGV[6], true)
redis.call('ZADD', USED, score(ARGV[5]), ID)
redis.call('ZADD', ENDS, score(ARGV[4]), ID)
return {'ok'}
