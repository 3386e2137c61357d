-- Counts a batch that the server refused. After so many in a row, with nothing done between them,
-- the job has failed.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: jobs by when they were asked for
-- ARGV[1] job id
-- ARGV[2] how far the job is: another text once anything is done
-- ARGV[3] how many failures are too many
-- ARGV[4] what the server said
-- ARGV[5] how long a job's record is kept, milliseconds
-- ARGV[6] token of this call, so that it can be repeated
-- Reply: 1 where the job has failed, else 0
local job_key, jobs_key, history = KEYS[1], KEYS[2], KEYS[3]
local job_id, position, limit, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local retention_ms, token = tonumber(ARGV[5]), ARGV[6]

local now = now_ms()
local found = redis.call('HMGET', job_key, 'state', 'failures', 'failed_at', 'failure')
if not goes_on(found[1]) then
  return found[1] == 'failed' and 1 or 0
end
if found[4] == token then
  return 0
end
work_though_full(jobs_key)
local failures = found[3] == position and tonumber(found[2] or 0) + 1 or 1
redis.call('HSET', job_key, 'failures', failures, 'failed_at', position, 'failure', token, 'error', reason)
if failures < limit then
  return 0
end
fail_job(job_key, jobs_key, history, job_id, reason, retention_ms, now)
return 1
