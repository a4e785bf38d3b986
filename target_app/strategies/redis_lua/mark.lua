-- The counter is too high, or may be: it is still believed, for high is safe, but must be seeded soon.
-- A missing counter is marked too, so that a seeder which has read Postgres before this learns of it.
-- KEYS: counter. ARGV: a nonce, retention_ms, a token or ''.
-- With a token: an order's fate is unknown. While its hold is there the reaper will see to it, and nothing is done.
if ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[1], 'h:' .. ARGV[3]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'stale', 1, 'version', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
