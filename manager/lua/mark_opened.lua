-- Notes that all parts of a job have been written, unless a later request is writing them again.
-- Uses: full_server
-- KEYS[1] hash of the job
-- KEYS[2] sorted set: open jobs
-- ARGV[1] id of the request that has written them
-- Reply: 1 | 0 where they were not this request's to write
local job_key, jobs_key = KEYS[1], KEYS[2]
local request_id = ARGV[1]

if redis.call('HGET', job_key, 'opening') ~= request_id then
  return 0
end
work_though_full(jobs_key)
return redis.call('HDEL', job_key, 'opening')
