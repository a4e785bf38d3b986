-- Delete the lock if it is the caller's, and wake one who waits for it.
-- KEYS: lock, wake list. ARGV: owner, ms that the wake-up may lie unread. Returns 1 if released, 0 if it was not ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[2], '1')
redis.call('LTRIM', KEYS[2], 0, 0)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
