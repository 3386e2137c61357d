-- Ends a slice of a job in good order, whatever it has come to: its process lives.
-- KEYS[1] hash of the job in its home
-- ARGV[1] shard
-- Reply: 1 | 0 where another slice of the shard has ended since
local job_key = KEYS[1]
local shard = ARGV[1]

return redis.call('HDEL', job_key, 'unheard:' .. shard)
