-- Prunes the checkpoints of some live sessions of an index, behind the cursor in the job's record.
-- Uses: clock live page index job prune
-- KEYS[1] sorted set that the job works through: expiry index or index of an agent
-- KEYS[2] hash of the job
-- KEYS[3] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] how many checkpoints to keep in each session, or ''
-- ARGV[4] how old a checkpoint may be, microseconds, or ''
-- ARGV[5] most sessions to look at, and most checkpoints to remove
-- ARGV[6] how long a job's record is kept, milliseconds
-- Reply: 1 where the job goes on | 0 at the end | 'GONE' where the job has no record
local index, job_key, jobs_key = KEYS[1], KEYS[2], KEYS[3]
local prefix, job_id, keep_last, max_age_us = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, retention_ms = tonumber(ARGV[5]), tonumber(ARGV[6])

local closed = closed_reply(job_key)
if closed then
  return closed
end
local now = now_us()
local min_created = oldest_to_keep(max_age_us, now)
now = math.floor(now / 1000)
local cursor = redis.call('HMGET', job_key, 'cursor_score', 'cursor_member')
local found = page(index, cursor[1] or '(' .. whole(now), cursor[2] or '', limit)
local done, removed = 0, 0
for i = 1, #found, 2 do
  local session_id = string.match(found[i], '^%S+')
  local count, more = 0, false
  if live_session(prefix, prefix .. 's:' .. session_id, session_id, now) then
    count, more = prune_session(prefix, session_id, keep_last, min_created, limit - removed)
  end
  removed = removed + count
  if more then
    break
  end
  done = done + 1
  if removed >= limit then
    break
  end
end
local finished = 2 * done == #found and done < limit
if done > 0 then
  work_though_full(jobs_key)
  redis.call('HSET', job_key, 'cursor_score', found[2 * done], 'cursor_member', found[2 * done - 1])
end
record_batch(job_key, jobs_key, job_id, done, removed, finished, retention_ms, now)
return finished and 0 or 1
