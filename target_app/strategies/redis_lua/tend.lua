-- Give back the holds whose lease is over, then tell the state on which a seed depends.
-- Whether they were sold, only Postgres knows: so reaping leaves the counter stale.
-- KEYS: counter. ARGV: a nonce, 1 to reap.
-- Returns {epoch, version, stale, avail or false, held}.
local counter = redis.call('HMGET', KEYS[1], 'avail', 'held')
if counter[1] and ARGV[2] == '1' and tonumber(counter[2]) > 0 then
  local time = redis.call('TIME')
  local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  local avail, held, over = tonumber(counter[1]), tonumber(counter[2]), {}
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local quantity, deadline_ms = string.match(fields[i + 1], '^(%d+):(%d+)$')
    if string.sub(fields[i], 1, 2) == 'h:' and tonumber(deadline_ms) <= now_ms then
      over[#over + 1] = fields[i]
      avail, held = avail + tonumber(quantity), held - tonumber(quantity)
    end
  end
  for _, field in ipairs(over) do
    redis.call('HDEL', KEYS[1], field)
  end
  if #over > 0 then
    redis.call('HSET', KEYS[1], 'avail', avail, 'held', held, 'stale', 1, 'version', ARGV[1])
  end
end
local state = redis.call('HMGET', KEYS[1], 'epoch', 'version', 'stale', 'avail', 'held')
return {state[1] or '', state[2] or '', tonumber(state[3] or '0'), state[4] and tonumber(state[4]), tonumber(state[5] or '0')}
