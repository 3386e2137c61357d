-- Ends a slice of a job that was not killed: in good order, or because a batch was refused or too many attempts
-- have come to nothing. Then the slice counts as such an attempt, and the job fails after too many of them.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: jobs by when they were asked for
-- ARGV[1] job id
-- ARGV[2] shard
-- ARGV[3] token of the slice
-- ARGV[4] how far the job is in its other partitions
-- ARGV[5] why the slice came to nothing, or '' if it ends in good order
-- ARGV[6] after how many attempts that came to nothing the job fails
-- ARGV[7] how long a job's record is kept, milliseconds
-- Reply: {field, value, ...} of the job, empty if its record is gone
local job_key, jobs_key, history = KEYS[1], KEYS[2], KEYS[3]
local job_id, shard, token, elsewhere, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_attempts, retention_ms = tonumber(ARGV[6]), tonumber(ARGV[7])

if not is_active(redis.call('HGET', job_key, 'state')) then
  return redis.call('HGETALL', job_key)
end
work_though_full(jobs_key)
local is_own = end_attempt(job_key, shard, token)
if reason ~= '' then
  local position = position_of(job_key, elsewhere)
  if is_own then
    count_vain_attempt(job_key, position)
  end
  redis.call('HSET', job_key, 'error', reason)
  if vain_attempts(job_key, position) >= max_attempts then
    fail_job(job_key, jobs_key, history, job_id, reason, retention_ms, now_ms())
  end
end
return redis.call('HGETALL', job_key)
