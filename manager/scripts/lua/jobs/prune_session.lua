-- Prunes the checkpoints of one session, if it is live, and counts them in the job.
-- Uses: base chunks sessions jobs checkpoints
-- KEYS[1] hash of the job
-- KEYS[2] sorted set: open jobs
-- KEYS[3] hash of the session
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most checkpoints to remove
-- ARGV[4] how many checkpoints to keep, or ''
-- ARGV[5] how old a checkpoint may be, microseconds, or ''
-- ARGV[6] session id
-- Reply: 'MORE' | 'END' | 'HALTED' | 'GONE'
local job_key, jobs_key, session_key = KEYS[1], KEYS[2], KEYS[3]
local prefix, job_id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local keep_last, max_age_us, session_id = ARGV[4], ARGV[5], ARGV[6]

local closed = closed_reply(job_key)
if closed then
  return closed
end
local now = now_us()
local min_created = oldest_to_keep(max_age_us, now)
now = math.floor(now / 1000)
local session, damage = live_session(prefix, session_key, session_id, now)
local readable, removed, more = not damage, 0, false
if session then
  readable, removed, more = attempt(prune_session, prefix, session_id, keep_last, min_created, limit)
end
if not readable then
  removed, more = 0, false
end
record_batch(job_key, jobs_key, job_id, { done = more and 0 or 1, removed = removed,
  damaged = readable and 0 or 1 }, now)
return batch_reply(job_key, more)
