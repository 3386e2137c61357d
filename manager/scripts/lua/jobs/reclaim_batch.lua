-- Frees the memory of some sessions that a deletion, or an earlier one of the same owner, has revoked, and counts them in the job. A session whose
-- hash is gone has expired or was reclaimed by another deletion: it is not counted.
-- Uses: base sessions jobs
-- KEYS[1] hash of the job in this partition
-- KEYS[2] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most sessions to take
-- ARGV[4] letter of the index that was taken away: 'u' or 'a'
-- ARGV[5] its owner
-- Reply: 'MORE' | 'END' | 'HALTED' | 'GONE'
local job_key, jobs_key = KEYS[1], KEYS[2]
local prefix, job_id, limit, letter, owner = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local closed = closed_reply(job_key)
if closed then
  return closed
end
work_though_full(jobs_key)
local name = current_revoked_set(prefix, job_key, job_id, letter, owner)
if not name then
  return batch_reply(job_key, false)
end
-- Sessions leave the revoked set last: if the script fails on one of them, all are still listed, and counted when
-- the script is called again.
local revoked = prefix .. 'revoked:' .. name
local taken, now = redis.call('ZRANGE', revoked, 0, limit - 1), now_ms()
local unlinked, by_user, by_agent, packed = {}, {}, {}, { x = {} }
local deleted, checkpoints = 0, 0
for _, session_id in ipairs(taken) do
  local session_key = prefix .. 's:' .. session_id
  local found = redis.pcall('HMGET', session_key, 'user', 'agent', 'expires')
  local user, agent, expires = found[1], found[2], stored_number(found[3])
  -- Redis keeps a hash for the millisecond of its expiry. That session has expired: a sweep counts it.
  local has_expired = expires and expires <= now
  if not has_expired and (user or agent or wrong_type(found)) then
    -- A damaged session is deleted too, by the user and agent that can be read.
    user, agent = user or letter == 'u' and owner or '', agent or letter == 'a' and owner or ''
    deleted = deleted + 1
    local saved = redis.pcall('ZCARD', prefix .. 'o:' .. session_id)
    checkpoints = checkpoints + (wrong_type(saved) and 0 or saved)
    unlinked[#unlinked + 1] = session_key
    unlinked[#unlinked + 1] = prefix .. 'c:' .. session_id
    unlinked[#unlinked + 1] = prefix .. 'o:' .. session_id
    note_member(by_user, user, session_id)
    note_member(by_agent, agent, session_id)
    note_member(packed, 'x', expiry_member(session_id, user, agent))
  end
end
local entries = #taken
if deleted > 0 then
  leave_other_revoked_sets(prefix, letter == 'u' and 'a' or 'u', letter == 'u' and by_agent or by_user)
  entries = entries + remove_noted(by_user, prefix .. 'u:') + remove_noted(by_agent, prefix .. 'a:')
    + remove_noted(packed, prefix)
  redis.call('UNLINK', unpack(unlinked))
end
redis.call('ZREMRANGEBYRANK', revoked, 0, #taken - 1)
local more = current_revoked_set(prefix, job_key, job_id, letter, owner)
local counts = { done = #taken, removed = deleted, checkpoints = checkpoints, entries = entries }
local counting_key = record_of_revoked_set(prefix, name, job_key)
if counting_key == job_key then
  record_batch(job_key, jobs_key, job_id, counts, now)
else
  record_batch(counting_key, jobs_key, job_of_revoked_set(name), counts, now)
  record_batch(job_key, jobs_key, job_id, {}, now)
end
return batch_reply(job_key, more)
