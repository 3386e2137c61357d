-- Prunes the checkpoints of some live sessions of an index, behind the cursor in the job's record.
-- Uses: base chunks sessions jobs checkpoints
-- KEYS[1] hash of the job in this partition
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set that the job works through: expiry index or index of an agent
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most sessions to look at, and most checkpoints to remove
-- ARGV[4] how many checkpoints to keep in each session, or ''
-- ARGV[5] how old a checkpoint may be, microseconds, or ''
-- ARGV[6] agents whose sessions are left alone, JSON
-- Reply: 'MORE' | 'END' | 'HALTED' | 'GONE'
local job_key, jobs_key, index = KEYS[1], KEYS[2], KEYS[3]
local prefix, job_id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local keep_last, max_age_us, except_agents = ARGV[4], ARGV[5], ARGV[6]

local closed = closed_reply(job_key)
if closed then
  return closed
end
local excepted = set_of(except_agents)
local now = now_us()
local min_created = oldest_to_keep(max_age_us, now)
now = math.floor(now / 1000)
local cursor = redis.call('HMGET', job_key, 'cursor_score', 'cursor_member')
local found = page(index, cursor[1] or '(' .. whole(now), cursor[2] or '', limit)
local function prune_member(member, most)
  local session_id = string.match(member, '^%S*')
  local session, damage = live_session(prefix, prefix .. 's:' .. session_id, session_id, now)
  if session and not excepted[session.agent] then
    local readable, count, more = attempt(prune_session, prefix, session_id, keep_last, min_created, most)
    if not readable then
      return 0, false, 1
    end
    return count, more, 0
  end
  return 0, false, damage and 1 or 0
end

-- If one session fails, the work on those before it is counted all the same.
local done, removed, damaged_ones, failure = 0, 0, 0, nil
for i = 1, #found, 2 do
  local went_well, count, more, unreadable = pcall(prune_member, found[i], limit - removed)
  if not went_well then
    failure = count
    break
  end
  removed = removed + count
  damaged_ones = damaged_ones + unreadable
  if more then
    break
  end
  done = done + 1
  if removed >= limit then
    break
  end
end
work_though_full(jobs_key)
if done > 0 then
  redis.call('HSET', job_key, 'cursor_score', found[2 * done], 'cursor_member', found[2 * done - 1])
end
record_batch(job_key, jobs_key, job_id, { done = done, removed = removed, damaged = damaged_ones }, now)
if failure then
  error(failure, 0)
end
return batch_reply(job_key, 2 * done < #found or done == limit)
