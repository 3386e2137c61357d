-- Sweeps some expired sessions: removes them from the expiry index and from the indexes of their user and agent.
-- Redis has dropped the sessions themselves. Each is counted once, whoever sweeps.
-- Uses: base sessions jobs
-- KEYS[1] hash of the job in this partition
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most sessions to take
-- Reply: 'MORE' | 'END' | 'HALTED' | 'GONE'
local job_key, jobs_key, expiry_index = KEYS[1], KEYS[2], KEYS[3]
local prefix, job_id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

-- Count how many of the members each index should list, by the index's name behind the prefix. Taking a member
-- apart costs more than removing it, so it is done once for all members of one user and agent.
local function count_by_index(members)
  local alike = {}
  for _, member in ipairs(members) do
    local blank = string.find(member, ' ', 1, true)
    if blank then
      local owners = string.sub(member, blank)
      alike[owners] = (alike[owners] or 0) + 1
    end
  end
  local counts = {}
  for owners, count in pairs(alike) do
    local session_id, user, agent = split_expiry_member('-' .. owners)
    if session_id then
      counts['u:' .. user] = (counts['u:' .. user] or 0) + count
      counts['a:' .. agent] = (counts['a:' .. agent] or 0) + count
    end
  end
  return counts
end

-- Remove the members from the indexes in `chosen`, by name.
local function remove_each(members, chosen)
  local groups = {}
  for _, member in ipairs(members) do
    local session_id, user, agent = split_expiry_member(member)
    if session_id and chosen['u:' .. user] then
      note_member(groups, 'u:' .. user, session_id)
    end
    if session_id and chosen['a:' .. agent] then
      note_member(groups, 'a:' .. agent, session_id)
    end
  end
  remove_noted(groups, prefix)
end

-- Remove the members from the indexes of their users and agents. All entries of an index up to the score of the
-- last member have expired. If the index holds exactly as many of them as this batch has, remove them by rank.
-- After a revocation or some damage it holds others: then remove the members one by one.
local function leave_indexes(members)
  local last = redis.call('ZSCORE', expiry_index, members[#members])
  local others = {}
  for name, count in pairs(count_by_index(members)) do
    if redis.pcall('ZCOUNT', prefix .. name, '-inf', last) == count then
      redis.call('ZREMRANGEBYRANK', prefix .. name, 0, count - 1)
    else
      others[name] = true
    end
  end
  if next(others) then
    remove_each(members, others)
  end
end

local closed = closed_reply(job_key)
if closed then
  return closed
end
work_though_full(jobs_key)
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', expiry_index, '-inf', whole(now), 'LIMIT', 0, limit)
if #due > 0 then
  leave_indexes(due)
  redis.call('ZREMRANGEBYRANK', expiry_index, 0, #due - 1)
end
record_batch(job_key, jobs_key, job_id, { done = #due, removed = #due }, now)
return batch_reply(job_key, #due == limit)
