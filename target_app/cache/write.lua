-- Check-then-set in one step: the item is written only if what is there is not newer. Every item has a TTL.
-- KEYS[1] the item. ARGV: version, body, delta_ms, fresh_ms, ttl_ms. Returns 1 if written, 0 if something newer stands.
-- A tombstone (body '') also yields to a value of its own version, never to an older one.
local standing = redis.call('HMGET', KEYS[1], 'version', 'body')
local version = tonumber(ARGV[1])
if standing[1] then
  local there = tonumber(standing[1])
  if there > version or (there == version and ARGV[2] == '') then
    return 0
  end
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'body', ARGV[2], 'computed_ms', now_ms,
  'delta_ms', ARGV[3], 'fresh_until_ms', now_ms + tonumber(ARGV[4]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
