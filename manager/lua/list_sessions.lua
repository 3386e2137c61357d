-- Reads one page of the live sessions that an index lists, in order of expiry.
-- Uses: clock damage live live_fields page
-- KEYS[1] sorted set: index of a user or an agent
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- ARGV[5] bytes after which the page ends
-- Reply: {score and id of the last member looked at, or two '' at the end, id, {field, value, ...}, ...}; of a damaged session id, {'CORRUPT' and the key}
local index = KEYS[1]
local prefix, last_score, last_member = ARGV[1], ARGV[2], ARGV[3]
local limit, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])

local now = now_ms()
if last_member == '' then
  last_score = '(' .. whole(now)
end
local found = page(index, last_score, last_member, limit)
local reply = { '', '' }
local bytes, last = 0, 0
for i = 1, #found, 2 do
  last = i
  local session_id = found[i]
  local session_key = prefix .. 's:' .. session_id
  local fields, size = live_fields(prefix, session_key, session_id, now, index)
  if fields then
    reply[#reply + 1] = session_id
    reply[#reply + 1] = fields
    bytes = bytes + size
  end
  if bytes >= max_bytes then
    break
  end
end
if last + 1 < #found or #found == 2 * limit then
  reply[1], reply[2] = found[last + 1], found[last]
end
return reply
