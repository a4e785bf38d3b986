-- Delete the lock if it is the caller's, and wake those who wait for it.
-- KEYS: lock. ARGV: owner, channel. Returns 1 if released, 0 if it was not the caller's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], KEYS[1])
return 1
