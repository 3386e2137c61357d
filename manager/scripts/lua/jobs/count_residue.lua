-- Counts in one page of an index the sessions of a user or an agent that were theirs at a deletion's cut-off:
-- none, if the deletion did its work. With the first page, lists the sets that other deletions of this owner
-- have revoked and not reclaimed yet, which are to be looked through too.
-- Uses: base
-- KEYS[1] sorted set: index of the user or the agent, or the expiry index
-- KEYS[2] sorted set: revoked sets of all deletions of this user or agent
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- ARGV[5] letter of the owner's index: 'u' or 'a'
-- ARGV[6] id of the user or the agent
-- ARGV[7] cut-off, microseconds
-- ARGV[8] id of the job whose own revoked sets are left out
-- Reply: {score and member of the last one looked at, or two '' at the end, how many, key of a revoked set, ...}
local index, revoked_sets = KEYS[1], KEYS[2]
local prefix, last_score, last_member, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local letter, owner, cutoff_us, job_id = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8]

local reply = { '', '', 0 }
if last_member == '' then
  for _, name in ipairs(redis.call('ZRANGE', revoked_sets, 0, -1)) do
    if string.match(name, '^(.*):%d+$') ~= job_id then
      reply[#reply + 1] = prefix .. 'revoked:' .. name
    end
  end
end
-- A key of another type lists nothing.
if wrong_type(redis.pcall('ZCARD', index)) then
  return reply
end
local whose = letter == 'u' and 'user' or 'agent'
local found = page(index, last_member == '' and '(' .. whole(now_ms()) or last_score, last_member, limit)
for i = 1, #found, 2 do
  local session_key = prefix .. 's:' .. string.match(found[i], '^%S*')
  local session = redis.pcall('HMGET', session_key, whose, 'created', 'assigned')
  -- A session that another agent handed over later was not theirs at the cut-off.
  local since = math.max(stored_number(session[2]) or 0, letter == 'a' and stored_number(session[3]) or 0)
  if not wrong_type(session) and session[1] == owner and since <= cutoff_us then
    reply[3] = reply[3] + 1
  end
end
if #found == 2 * limit then
  reply[1], reply[2] = found[#found], found[#found - 1]
end
return reply
