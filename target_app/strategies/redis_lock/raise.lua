-- Raise the token counter to what Postgres has seen, never lower it, and acquire once more.
-- KEYS: lock, token counter. ARGV: owner, lease_ms, fence in Postgres, retention_ms.
-- Returns {token, 0}, or {-1, ms left} if somebody else has the lock; the counter is raised either way.
local own, fence = tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[3])
redis.call('SET', KEYS[2], string.format('%d', math.max(own, fence)), 'PX', ARGV[4])
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return {-1, redis.call('PTTL', KEYS[1])}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {redis.call('INCR', KEYS[2]), 0}
