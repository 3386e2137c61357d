-- Removes some sessions that ran out from the expiry index and from the indexes of their user and
-- agent. Redis has dropped the sessions themselves. Each is counted once, whoever sweeps.
-- Uses: clock expiry_member index grouped_removal job
-- KEYS[1] sorted set: expiry index
-- KEYS[2] hash of the job
-- KEYS[3] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most sessions to take
-- ARGV[4] how long a job's record is kept, milliseconds
-- Reply: 1 where more are due | 0 at the end | 'GONE' where the job has no record
local expiry_index, job_key, jobs_key = KEYS[1], KEYS[2], KEYS[3]
local prefix, job_id, limit, retention_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local closed = closed_reply(job_key)
if closed then
  return closed
end
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', expiry_index, '-inf', whole(now), 'LIMIT', 0, limit)
local groups = {}
for _, member in ipairs(due) do
  local session_id, user, agent = split_expiry_member(member)
  note_removal(groups, prefix .. 'u:' .. user, session_id)
  note_removal(groups, prefix .. 'a:' .. agent, session_id)
end
if #due > 0 then
  remove_noted(groups)
  redis.call('ZREMRANGEBYRANK', expiry_index, 0, #due - 1)
end
local more = #due == limit
record_batch(job_key, jobs_key, job_id, #due, #due, not more, retention_ms, now)
return more and 1 or 0
