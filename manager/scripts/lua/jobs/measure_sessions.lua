-- Measures what a deletion would remove: one page of the live sessions of an index.
-- Uses: base sessions
-- KEYS[1] sorted set: index of a user or an agent
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- Reply: {score and id of the last member looked at, or two '' at the end, sessions, checkpoints, bytes, session id, ...}
local index = KEYS[1]
local prefix, last_score, last_member, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local now = now_ms()
local found = page(index, last_member == '' and '(' .. whole(now) or last_score, last_member, limit)
local reply = { '', '', 0, 0, 0 }
for i = 1, #found, 2 do
  local session_id = found[i]
  if live_session(prefix, prefix .. 's:' .. session_id, session_id, now) then
    reply[#reply + 1] = session_id
    reply[3] = reply[3] + 1
    local saved = redis.pcall('ZCARD', prefix .. 'o:' .. session_id)
    reply[4] = reply[4] + (wrong_type(saved) and 0 or saved)
    for _, kind in ipairs({ 's:', 'c:', 'o:' }) do
      reply[5] = reply[5] + memory_of(prefix .. kind .. session_id)
    end
  end
end
if #found == 2 * limit then
  reply[1], reply[2] = found[#found], found[#found - 1]
end
return reply
