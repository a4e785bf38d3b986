-- The units of a hold are free again, if that very hold is still there.
-- KEYS: counter. ARGV: token, retention_ms, 1 to mark the counter stale as well (Postgres has contradicted it).
local counter = redis.call('HMGET', KEYS[1], 'avail', 'held', 'h:' .. ARGV[1])
if counter[1] and counter[3] then
  local quantity = tonumber(string.match(counter[3], '^(%d+):'))
  redis.call('HSET', KEYS[1], 'avail', tonumber(counter[1]) + quantity, 'held', tonumber(counter[2]) - quantity)
  redis.call('HDEL', KEYS[1], 'h:' .. ARGV[1])
  announce(KEYS[1])
end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'stale', 1, 'version', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
