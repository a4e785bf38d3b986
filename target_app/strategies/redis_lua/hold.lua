-- Take units for one request, or say why not. Decides fast; Postgres has the last word.
-- KEYS: counter, settled. ARGV: token, quantity, lease_ms, user, limit (0: none), wait_ms.
-- Returns 'held', 'wait' (others hold units that may come back), 'sold_out', 'limited' or 'missing'.
local counter = redis.call('HMGET', KEYS[1], 'avail', 'held', 'wait_until')
if not counter[1] then
  return 'missing'  -- never zero: nobody knows
end
local avail, held, quantity = tonumber(counter[1]), tonumber(counter[2]), tonumber(ARGV[2])
local limit = tonumber(ARGV[5])
if limit > 0 then
  -- Only what is settled counts: a hold may yet be given back.
  local settled = tonumber(redis.call('HGET', KEYS[2], ARGV[4]) or '0')
  if settled + quantity > limit then
    return 'limited'
  end
end
if avail + held < quantity then
  return 'sold_out'
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if avail < quantity then
  local wait_until = now_ms + tonumber(ARGV[6])
  if tonumber(counter[3] or '0') < wait_until then
    redis.call('HSET', KEYS[1], 'wait_until', string.format('%d', wait_until))
  end
  return 'wait'
end
local deadline_ms = now_ms + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'avail', avail - quantity, 'held', held + quantity,
  'h:' .. ARGV[1], ARGV[2] .. ':' .. string.format('%d', deadline_ms))
return 'held'
