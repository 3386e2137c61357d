-- Reads the record of a job, or of the one that the request with this id joined.
-- KEYS[1] hash of the job
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- Reply: {id of the job, field, value, ...}; empty where there is none
local job_key = KEYS[1]
local prefix, job_id = ARGV[1], ARGV[2]

local joined = redis.call('HGET', job_key, 'joined')
if joined then
  job_id, job_key = joined, prefix .. 'job:' .. joined
end
local record = redis.call('HGETALL', job_key)
if #record > 0 then
  table.insert(record, 1, job_id)
end
return record
