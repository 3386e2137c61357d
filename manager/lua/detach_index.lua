-- Begins a bulk deletion: takes an index away, which revokes every session in it, and writes the
-- job's record. Repeated with the same job, it changes nothing.
-- Uses: clock index job
-- KEYS[1] sorted set: index of a user or an agent
-- KEYS[2] sorted set: the job's trash
-- KEYS[3] sorted set: open deletions of this kind
-- KEYS[4] hash of the job
-- KEYS[5] sorted set: open jobs
-- ARGV[1] job id
-- ARGV[2] kind of the job
-- ARGV[3] parameters of the job, JSON
-- ARGV[4] 0 where parts in other partitions are yet to be written, else 1
-- ARGV[5] how long a job's record is kept, milliseconds
-- Reply: 'OPEN' | 'CONFLICT' where the id is that of a job with other work
local index, trash, detached, job_key, jobs_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local job_id, kind, params, opened, retention_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local known = known_job(job_key, kind, params)
if known then
  return known
end
local now = now_ms()
local total = redis.call('ZCARD', index)
write_job(job_key, jobs_key, job_id, kind, params, total, opened, retention_ms, now)
if total == 0 then
  -- With parts yet to be written the job stays open, or nobody would complete it should its caller die.
  if opened == '1' then
    finish_job(job_key, jobs_key, job_id, now)
  end
  return 'OPEN'
end
redis.call('RENAME', index, trash)
local void = now + redis.call('PTTL', trash)
redis.call('ZADD', detached, whole(void), job_id)
keep_until(detached, void, now)
keep_until(job_key, void + retention_ms, now)
keep_until(jobs_key, void + retention_ms, now)
return 'OPEN'
