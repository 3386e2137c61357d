-- Read one page of the live sessions that an index lists, in order of expiry.
-- Uses: base sessions
-- KEYS[1] sorted set: index of a user or an agent
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- ARGV[5] bytes after which the page ends
-- Reply: {score and id of the last member looked at, or two '' at the end; for each live session its id and {field, value, ...}, or {'CORRUPT' and the key} if it is damaged; ...}
local index = KEYS[1]
local prefix, last_score, last_member = ARGV[1], ARGV[2], ARGV[3]
local limit, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])

local now = now_ms()
if last_member == '' then
  last_score = '(' .. whole(now)
end
local members = page(index, last_score, last_member, limit)
local ids, session_keys = {}, {}
for i = 1, #members, 2 do
  ids[#ids + 1] = members[i]
  session_keys[#ids] = prefix .. 's:' .. members[i]
end
local found = live_page(prefix, session_keys, ids, now, max_bytes, index)
local reply = { '', '' }
for i, fields in ipairs(found) do
  if fields then
    reply[#reply + 1] = ids[i]
    reply[#reply + 1] = fields
  end
end
if #found < #ids or #ids == limit then
  reply[1], reply[2] = members[2 * #found], members[2 * #found - 1]
end
return reply
