-- Frees the memory of some sessions that a bulk deletion has revoked, and counts them in the job.
-- A session whose hash is gone has run out or was reclaimed by another deletion: it is not counted.
-- Uses: clock expiry_member index grouped_removal job
-- KEYS[1] sorted set: the job's trash
-- KEYS[2] sorted set: open deletions of this kind
-- KEYS[3] sorted set: expiry index
-- KEYS[4] hash of the job
-- KEYS[5] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most sessions to take
-- ARGV[4] how long a job's record is kept, milliseconds
-- Reply: 1 where more are left | 0 at the end | 'GONE' where the job has no record
local trash, detached, expiry_index, job_key, jobs_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, job_id, limit, retention_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local closed = closed_reply(job_key)
if closed then
  return closed
end
-- They leave the trash last: should the script fail on one of them, all are still there.
local taken = redis.call('ZRANGE', trash, 0, limit - 1)
local unlinked, groups, deleted = {}, {}, 0
for _, session_id in ipairs(taken) do
  local session_key = prefix .. 's:' .. session_id
  local found = redis.call('HMGET', session_key, 'user', 'agent')
  local user, agent = found[1], found[2]
  if user then
    deleted = deleted + 1
    unlinked[#unlinked + 1] = session_key
    unlinked[#unlinked + 1] = prefix .. 'c:' .. session_id
    unlinked[#unlinked + 1] = prefix .. 'o:' .. session_id
    note_removal(groups, prefix .. 'u:' .. user, session_id)
    note_removal(groups, prefix .. 'a:' .. agent, session_id)
    note_removal(groups, expiry_index, expiry_member(session_id, user, agent))
  end
end
if deleted > 0 then
  redis.call('UNLINK', unpack(unlinked))
  remove_noted(groups)
end
redis.call('ZREMRANGEBYRANK', trash, 0, #taken - 1)
local left = redis.call('ZCARD', trash)
if left == 0 then
  redis.call('ZREM', detached, job_id)
end
record_batch(job_key, jobs_key, job_id, #taken, deleted, left == 0, retention_ms, now_ms())
return left > 0 and 1 or 0
