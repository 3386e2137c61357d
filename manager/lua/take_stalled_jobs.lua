-- Takes open jobs whose last heartbeat is too long ago, longest silent first. What is taken counts
-- as heard of now, so that one look a period rings for it and messages do not pile up.
-- Uses: clock full_server
-- KEYS[1] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] silence after which a job counts as stalled, milliseconds
-- ARGV[3] most jobs to take
-- Reply: {job id, ...}
local jobs_key = KEYS[1]
local prefix, silence_ms, limit = ARGV[1], ARGV[2], ARGV[3]

local now = now_ms()
work_though_full(jobs_key)
local stalled = {}
for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', jobs_key, '-inf', whole(now - silence_ms), 'LIMIT', 0, limit)) do
  if redis.call('EXISTS', prefix .. 'job:' .. job_id) == 1 then
    redis.call('ZADD', jobs_key, whole(now), job_id)
    stalled[#stalled + 1] = job_id
  else
    redis.call('ZREM', jobs_key, job_id)
  end
end
return stalled
