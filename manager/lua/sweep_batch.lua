-- Removes some sessions that ran out from the expiry index and from the indexes of their user and
-- agent. Redis has dropped the sessions themselves. Each is counted once, whoever sweeps.
-- Uses: clock expiry_member damage grouped_removal full_server job
-- KEYS[1] hash of the job in this partition
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most sessions to take
-- Reply: 'MORE' | 'END' | 'HALTED' | 'GONE'
local job_key, jobs_key, expiry_index = KEYS[1], KEYS[2], KEYS[3]
local prefix, job_id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

local closed = closed_reply(job_key)
if closed then
  return closed
end
work_though_full(jobs_key)
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', expiry_index, '-inf', whole(now), 'LIMIT', 0, limit)
local groups = {}
for _, member in ipairs(due) do
  local session_id, user, agent = split_expiry_member(member)
  if session_id then
    note_member(groups, 'u:' .. user, session_id)
    note_member(groups, 'a:' .. agent, session_id)
  end
end
if #due > 0 then
  remove_noted(groups, prefix)
  redis.call('ZREMRANGEBYRANK', expiry_index, 0, #due - 1)
end
record_batch(job_key, jobs_key, job_id, { done = #due, removed = #due }, now)
return batch_reply(job_key, #due == limit)
