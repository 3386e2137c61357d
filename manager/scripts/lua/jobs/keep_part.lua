-- Has the part of a job in a partition that is not its home be kept as long as the home part.
-- KEYS[1] hash of the job in this partition
-- ARGV[1] how long from now, milliseconds
-- ARGV[2] 1 where it is to go then, 0 where it may be kept for longer
-- Reply: 1 | 0 where there is no such part, or where it is kept for longer
local job_key = KEYS[1]
local retention_ms, exactly = tonumber(ARGV[1]), ARGV[2] == '1'

if exactly or redis.call('PTTL', job_key) < retention_ms then
  return redis.call('PEXPIRE', job_key, retention_ms)
end
return 0
