-- Prunes the checkpoints of one session, if it is live, and counts them in the job.
-- Uses: clock live index job prune
-- KEYS[1] hash of the session
-- KEYS[2] hash of the job
-- KEYS[3] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] job id
-- ARGV[4] how many checkpoints to keep, or ''
-- ARGV[5] how old a checkpoint may be, microseconds, or ''
-- ARGV[6] most checkpoints to remove
-- ARGV[7] how long a job's record is kept, milliseconds
-- Reply: 1 where the job goes on | 0 at the end | 'GONE' where the job has no record
local session_key, job_key, jobs_key = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, job_id = ARGV[1], ARGV[2], ARGV[3]
local keep_last, max_age_us, limit, retention_ms = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

local closed = closed_reply(job_key)
if closed then
  return closed
end
local now = now_us()
local min_created = oldest_to_keep(max_age_us, now)
now = math.floor(now / 1000)
local removed, more = 0, false
if live_session(prefix, session_key, session_id, now) then
  removed, more = prune_session(prefix, session_id, keep_last, min_created, limit)
end
record_batch(job_key, jobs_key, job_id, more and 0 or 1, removed, not more, retention_ms, now)
return more and 1 or 0
