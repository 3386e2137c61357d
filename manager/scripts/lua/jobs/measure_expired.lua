-- Measures one page of the expired sessions that wait for a sweep. Redis has dropped the sessions themselves; their
-- members of three indexes are left, and are measured.
-- Uses: base
-- KEYS[1] sorted set: expiry index
-- ARGV[1] score of the last member seen, or '' to begin
-- ARGV[2] the last member seen, or ''
-- ARGV[3] most members to look at
-- Reply: {score and member of the last one looked at, or two '' at the end, sessions, 0, bytes, session id, ...}
local expiry_index = KEYS[1]
local last_score, last_member, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

local now = now_ms()
local found = page(expiry_index, last_member == '' and '-inf' or last_score, last_member, limit)
local reply = { '', '', 0, 0, 0 }
for i = 1, #found, 2 do
  if tonumber(found[i + 1]) > now then
    return reply
  end
  local session_id = string.match(found[i], '^%S*')
  reply[#reply + 1] = session_id
  reply[3] = reply[3] + 1
  reply[5] = reply[5] + #found[i] + 2 * #session_id
end
if #found == 2 * limit then
  reply[1], reply[2] = found[#found], found[#found - 1]
end
return reply
