-- Notes that all parts of a job have been written, unless a later request is writing them again.
-- Uses: full_server
-- KEYS[1] hash of the job
-- KEYS[2] sorted set: open jobs
-- KEYS[3] hash of the request: the record of the job, or a note that it joined it
-- ARGV[1] id of the request
-- ARGV[2] what was added to the job's work with those parts
-- Reply: 1 | 0 where they were not this request's to write
local job_key, jobs_key, request_key = KEYS[1], KEYS[2], KEYS[3]
local request_id, added = ARGV[1], ARGV[2]

if redis.call('HGET', job_key, 'opening') ~= request_id then
  return 0
end
work_though_full(jobs_key)
if redis.call('EXISTS', request_key) == 1 then
  redis.call('HINCRBY', request_key, 'added', added)
end
return redis.call('HDEL', job_key, 'opening')
