-- Completes a job that is closed to joins, as done or as undone, and answers with its record, which is kept for
-- its time from now on. A job that is not to go on stays as it is.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: jobs by when they were asked for
-- ARGV[1] job id
-- ARGV[2] how long a job's record is kept, milliseconds
-- ARGV[3] receipt, JSON, or ''
-- Reply: {field, value, ...} of the job, empty if its record is gone
local job_key, jobs_key, history = KEYS[1], KEYS[2], KEYS[3]
local job_id, retention_ms, receipt = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local state = redis.call('HGET', job_key, 'state')
if not is_active(state) then
  return redis.call('HGETALL', job_key)
end
local now = now_ms()
work_though_full(jobs_key)
redis.call('HDEL', job_key, 'error', 'attempts', 'attempts_at')
redis.call('HSET', job_key, 'state', state == 'undoing' and 'undone' or 'done', 'finished', whole(now))
if receipt ~= '' then
  redis.call('HSET', job_key, 'receipt', receipt)
end
redis.call('PEXPIRE', job_key, retention_ms)
keep_until(history, now + retention_ms, now)
redis.call('ZREM', jobs_key, job_id)
return redis.call('HGETALL', job_key)
