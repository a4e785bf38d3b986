-- Put before every script that frees or settles units. Tells those who wait what is there now; each worker then wakes
-- only whom it concerns. Nothing is said while nobody waits.
local function announce(key)
  local state = redis.call('HMGET', key, 'wait_until', 'avail', 'held')
  if state[1] and state[2] then
    local time = redis.call('TIME')
    if tonumber(state[1]) >= time[1] * 1000 + math.floor(time[2] / 1000) then
      redis.call('PUBLISH', 'redis_lua:changed', state[2] .. ' ' .. state[3] .. ' ' .. key)
    end
  end
end
