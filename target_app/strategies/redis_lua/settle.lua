-- The caller's own order is committed: its units are gone. Sent only by the request whose hold was answered and whose
-- own insert committed.
-- KEYS: counter, settled. ARGV: token, user, retention_ms, 1 if the sale has a limit.
local counter = redis.call('HMGET', KEYS[1], 'avail', 'held', 'h:' .. ARGV[1])
if not counter[1] then
  return 'missing'
end
if not counter[3] then
  -- A seed has dropped the hold, and may have counted this sale or not: so the counter is in doubt, and high at worst.
  redis.call('HSET', KEYS[1], 'stale', 1, 'version', ARGV[1])
  return 'gone'
end
local quantity = tonumber(string.match(counter[3], '^(%d+):'))
-- What needs memory comes first: refused, it leaves everything as it was.
redis.call('HSET', KEYS[1], 'held', tonumber(counter[2]) - quantity, 'version', ARGV[1])
redis.call('HDEL', KEYS[1], 'h:' .. ARGV[1])
if ARGV[4] == '1' then
  redis.call('HINCRBY', KEYS[2], ARGV[2], quantity)
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
announce(KEYS[1])
return 'settled'
