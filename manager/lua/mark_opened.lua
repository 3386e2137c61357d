-- Notes that all parts of a job have been written, so that none is ever written again.
-- KEYS[1] hash of the job
-- Reply: 1 | 0 where the job has no record
local job_key = KEYS[1]

if redis.call('EXISTS', job_key) == 0 then
  return 0
end
redis.call('HSET', job_key, 'opened', 1)
return 1
