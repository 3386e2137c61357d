-- Reads the record of a job, or of the one that the request with this id joined.
-- Uses: jobs
-- KEYS[1] hash of the job
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- Reply: {job id, {field, value, ...}, empty if there is no record}
local job_key = KEYS[1]
local prefix, job_id = ARGV[1], ARGV[2]

job_id, job_key = resolve_job(prefix, job_key, job_id)
return { job_id, redis.call('HGETALL', job_key) }
