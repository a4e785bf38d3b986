-- Set the counter to what Postgres had after the seeder's look, and drop all holds: their requests find out on settling.
-- KEYS: counter. ARGV: epoch seen, version seen, remaining, new epoch, retention_ms.
-- Returns 1, or 0 if another seed came in between (compare-and-set on the epoch).
-- A version that changed since the look shows that something was settled or marked meanwhile: what was read is too high
-- at worst, so it is set all the same, but stays stale. To refuse it instead would starve a seed for a whole busy sale.
local state = redis.call('HMGET', KEYS[1], 'epoch', 'version')
if (state[1] or '') ~= ARGV[1] then
  return 0
end
local stale = 0
if (state[2] or '') ~= ARGV[2] then
  stale = 1
end
redis.call('HSET', KEYS[1], 'avail', ARGV[3], 'held', 0, 'epoch', ARGV[4], 'stale', stale)
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'h:' then
    redis.call('HDEL', KEYS[1], field)
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
announce(KEYS[1])
return 1
