-- Writes the heartbeat of a job that is being worked on in another partition.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- ARGV[1] job id
-- Reply: 1 | 0 if the job is not to go on
local job_key, jobs_key = KEYS[1], KEYS[2]
local job_id = ARGV[1]

if not is_active(redis.call('HGET', job_key, 'state')) then
  return 0
end
record_batch(job_key, jobs_key, job_id, {}, now_ms())
return 1
