-- Give back the holds whose lease is over, then tell the state on which a seed depends.
-- Whether they were sold, only Postgres knows: so reaping leaves the counter stale.
-- KEYS: counters. ARGV: a nonce, 1 to reap.
-- Returns {epoch, version, stale, avail or false, held} for each.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function reap(key)
  local counter = redis.call('HMGET', key, 'avail', 'held')
  if not counter[1] or tonumber(counter[2]) == 0 then
    return
  end
  local avail, held, over = tonumber(counter[1]), tonumber(counter[2]), {}
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'h:' then
      local quantity, deadline_ms = string.match(fields[i + 1], '^(%d+):(%d+)$')
      if tonumber(deadline_ms) <= now_ms then
        over[#over + 1] = fields[i]
        avail, held = avail + tonumber(quantity), held - tonumber(quantity)
      end
    end
  end
  if #over > 0 then
    redis.call('HSET', key, 'avail', avail, 'held', held, 'stale', 1, 'version', ARGV[1])
    for _, field in ipairs(over) do
      redis.call('HDEL', key, field)
    end
    announce(key)
  end
end

local states = {}
for i, key in ipairs(KEYS) do
  if ARGV[2] == '1' then
    reap(key)
  end
  local state = redis.call('HMGET', key, 'epoch', 'version', 'stale', 'avail', 'held')
  states[i] = {state[1] or '', state[2] or '', tonumber(state[3] or '0'),
    state[4] and tonumber(state[4]), tonumber(state[5] or '0')}
end
return states
