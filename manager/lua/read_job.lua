-- Reads the record of a job.
-- KEYS[1] hash of the job
-- Reply: {field, value, ...}; empty where there is none
local job_key = KEYS[1]

return redis.call('HGETALL', job_key)
