-- Keeps the part of a job in a partition that is not its home as long as the home part.
-- KEYS[1] hash of the job in this partition
-- ARGV[1] how long from now, milliseconds
-- ARGV[2] 1 if the part is to expire then, 0 if it may be kept for longer
-- Reply: 1 | 0 if there is no such part, or it is kept for longer
local job_key = KEYS[1]
local retention_ms, exactly = tonumber(ARGV[1]), ARGV[2] == '1'

if exactly or redis.call('PTTL', job_key) < retention_ms then
  return redis.call('PEXPIRE', job_key, retention_ms)
end
return 0
