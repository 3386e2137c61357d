-- Reads one page of the live sessions that an index lists, in order of expiry.
-- Uses: clock live page
-- KEYS[1] sorted set: index of a user or an agent
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- Reply: {score and id of the last member looked at, or two '' at the end, {id, field, value, ...}, ...}
local index = KEYS[1]
local prefix, last_score, last_member, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local now = now_ms()
if last_member == '' then
  last_score = '(' .. whole(now)
end
local found = page(index, last_score, last_member, limit)
local reply = { '', '' }
for i = 1, #found, 2 do
  local session_id = found[i]
  local session_key = prefix .. 's:' .. session_id
  if live_session(prefix, session_key, session_id, now) then
    local fields = redis.call('HGETALL', session_key)
    table.insert(fields, 1, session_id)
    reply[#reply + 1] = fields
  end
end
if #found == 2 * limit then
  reply[1], reply[2] = found[#found], found[#found - 1]
end
return reply
