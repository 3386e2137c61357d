-- Measures what a pruning would remove from one page of the live sessions of an index, or from one session.
-- Uses: base chunks sessions checkpoints
-- KEYS[1] sorted set: expiry index or index of an agent
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- ARGV[5] how many checkpoints to keep in each session, or ''
-- ARGV[6] how old a checkpoint may be, microseconds, or ''
-- ARGV[7] agents whose sessions are left alone, JSON
-- ARGV[8] the one session to look at, or ''
-- Reply: {score and member of the last one looked at, or two '' at the end, sessions, checkpoints, bytes, session id, ...}
local index = KEYS[1]
local prefix, last_score, last_member, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local keep_last, max_age_us, except_agents, only = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local excepted = set_of(except_agents)
local now = now_us()
local min_created = oldest_to_keep(max_age_us, now)
now = math.floor(now / 1000)
local found = { only, '' }
if only == '' then
  found = page(index, last_member == '' and '(' .. whole(now) or last_score, last_member, limit)
end
local reply = { '', '', 0, 0, 0 }
for i = 1, #found, 2 do
  local session_id = only == '' and string.match(found[i], '^%S*') or only
  local session = live_session(prefix, prefix .. 's:' .. session_id, session_id, now)
  if session and not excepted[session.agent] then
    local readable, count, bytes = attempt(measure_due, prefix, session_id, keep_last, min_created)
    if readable and count > 0 then
      reply[#reply + 1] = session_id
      reply[3] = reply[3] + 1
      reply[4] = reply[4] + count
      reply[5] = reply[5] + bytes
    end
  end
end
if only == '' and #found == 2 * limit then
  reply[1], reply[2] = found[#found], found[#found - 1]
end
return reply
