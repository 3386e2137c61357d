-- Notes that all parts of a job have been written, so that none is ever written again. A deletion
-- that found nothing in this partition is done here then; other work stays open for others to join.
-- Uses: clock index job
-- KEYS[1] hash of the job
-- KEYS[2] sorted set: open jobs
-- ARGV[1] job id
-- ARGV[2] 1 for a deletion, else 0
-- Reply: 1 | 0 where the job has no record
local job_key, jobs_key = KEYS[1], KEYS[2]
local job_id, deletes = ARGV[1], ARGV[2] == '1'

if redis.call('EXISTS', job_key) == 0 then
  return 0
end
work_though_full(jobs_key)
redis.call('HSET', job_key, 'opened', 1)
if deletes and redis.call('HGET', job_key, 'total') == '0' then
  finish_job(job_key, jobs_key, job_id, now_ms())
end
return 1
