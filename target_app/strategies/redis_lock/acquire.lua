-- Take the lock with its lease in one step, and a fencing token with it.
-- KEYS: lock, token counter. ARGV: owner, lease_ms.
-- Returns {token, 0}; {-1, ms left} if somebody has it; {-2, 0}, nothing taken, if the token counter is gone.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {-1, redis.call('PTTL', KEYS[1])}
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  return {-2, 0}
end
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return {redis.call('INCR', KEYS[2]), 0}
