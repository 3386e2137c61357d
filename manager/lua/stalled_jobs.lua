-- Lists open jobs whose last heartbeat is too long ago, longest silent first.
-- Uses: clock
-- KEYS[1] sorted set: open jobs
-- ARGV[1] silence after which a job counts as stalled, milliseconds
-- ARGV[2] most jobs to list
-- Reply: {job id, ...}
local jobs_key = KEYS[1]
local silence_ms, limit = tonumber(ARGV[1]), ARGV[2]

return redis.call('ZRANGEBYSCORE', jobs_key, '-inf', whole(now_ms() - silence_ms), 'LIMIT', 0, limit)
