-- Lists jobs whose home is this partition, newest first, behind a place in the list. Jobs of one millisecond are in
-- falling order of their ids.
-- KEYS[1] sorted set: jobs by when they were asked for
-- ARGV[1] moment of the last one seen, milliseconds, or '+inf'
-- ARGV[2] id of the last one seen, or ''
-- ARGV[3] most jobs to list
-- Reply: {job id, moment, ...}
local history = KEYS[1]
local last_ms, last_id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

-- Compare as sorted sets do, byte by byte: Lua's own comparison follows the server's locale.
local function not_before(job_id, other)
  for i = 1, math.min(#job_id, #other) do
    local difference = string.byte(job_id, i) - string.byte(other, i)
    if difference ~= 0 then
      return difference > 0
    end
  end
  return #job_id >= #other
end

local first = 0
if last_id ~= '' then
  local score = redis.call('ZSCORE', history, last_id)
  if score and tonumber(score) == tonumber(last_ms) then
    first = redis.call('ZREVRANK', history, last_id) + 1
  else
    -- The last job seen lies in another partition, or its record has expired.
    first = redis.call('ZCOUNT', history, '(' .. last_ms, '+inf')
    local same = redis.call('ZRANGEBYSCORE', history, last_ms, last_ms)
    for _, job_id in ipairs(same) do
      if not_before(job_id, last_id) then
        first = first + 1
      end
    end
  end
end
return redis.call('ZREVRANGE', history, first, first + limit - 1, 'WITHSCORES')
