-- Processes that died of a job. A slice that begins leaves a mark: when, and how far the job was. Its end
-- takes the mark away; work that was done makes it void, and so does a stop of the job. Where a later slice
-- finds one that holds and is old enough, nothing was heard of the slice that left it: its process has died.
-- How many did so, one after the other and with nothing done in between.
local function count_deaths(job_key, lane, position, silence_ms, now)
  local mark, place = 'unheard:' .. lane, 'unheard_at:' .. lane
  local found = redis.call('HMGET', job_key, mark, place, 'deaths', 'died_at', 'resumed')
  position = position .. ' ' .. (found[5] or 0)
  local deaths = found[4] == position and tonumber(found[3]) or 0
  if not found[1] or found[2] ~= position then
    redis.call('HSET', job_key, mark, whole(now), place, position)
  elseif now - (tonumber(found[1]) or 0) >= silence_ms then
    deaths = deaths + 1
    redis.call('HSET', job_key, mark, whole(now), 'deaths', deaths, 'died_at', position)
  end
  return deaths
end
