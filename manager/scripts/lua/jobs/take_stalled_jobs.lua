-- Takes open jobs whose last heartbeat is too long ago, longest silent first. A job that is taken counts as heard
-- of now, so that it is published once a period. As long as no slice of it begins, because its message waits in a
-- long queue, the period doubles each time, so that messages do not pile up.
-- Uses: base
-- KEYS[1] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] silence after which a job counts as stalled, milliseconds
-- ARGV[3] most jobs to take
-- Reply: {job id, ...}
local jobs_key = KEYS[1]
local prefix, silence_ms, limit = ARGV[1], ARGV[2], ARGV[3]
local MOST_DOUBLINGS = 3

local now = now_ms()
work_though_full(jobs_key)
local stalled = {}
for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', jobs_key, '-inf', whole(now - silence_ms), 'LIMIT', 0, limit)) do
  local job_key = prefix .. 'job:' .. job_id
  if redis.call('EXISTS', job_key) == 1 then
    -- A record that cannot be read must not keep other jobs from being published.
    local times = redis.pcall('HINCRBY', job_key, 'published', 1)
    local doublings = type(times) == 'number' and math.min(MOST_DOUBLINGS, times - 1) or MOST_DOUBLINGS
    redis.call('ZADD', jobs_key, whole(now + silence_ms * (2 ^ doublings - 1)), job_id)
    stalled[#stalled + 1] = job_id
  else
    redis.call('ZREM', jobs_key, job_id)
  end
end
return stalled
