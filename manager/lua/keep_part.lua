-- Has the part of an ended job in a partition that is not its home be kept as long as the home part.
-- KEYS[1] hash of the job in this partition
-- ARGV[1] how long from now, milliseconds
-- Reply: 1 | 0 where there is no such part
local job_key = KEYS[1]
local retention_ms = ARGV[1]

return redis.call('PEXPIRE', job_key, retention_ms)
