-- One cached product, with its age and what is left of its freshness, by Redis' own clock.
-- KEYS[1] the item. Returns {version, body, age_ms, delta_ms, fresh_ms}, or false if there is none.
-- body: JSON; '' for a tombstone; '-' for "there is no such product". fresh_ms <= 0: stale.
local item = redis.call('HMGET', KEYS[1], 'version', 'body', 'computed_ms', 'delta_ms', 'fresh_until_ms')
if not item[1] then
  return false
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
return {tonumber(item[1]), item[2], now_ms - tonumber(item[3]), tonumber(item[4]), tonumber(item[5]) - now_ms}
