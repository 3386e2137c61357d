-- Read one page of the live sessions that an index lists, in order of expiry.
-- Uses: base sessions
-- KEYS[1] sorted set: index of a user or an agent
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- ARGV[5] bytes after which the page ends
-- Reply: {for each live session field, value, ..., or 'CORRUPT' and the key; then for each its id and how many these are; for how many; score and id of the last member looked at, or two '' at the end}
local index = KEYS[1]
local prefix, last_score, last_member = ARGV[1], ARGV[2], ARGV[3]
local limit, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])

local now = now_ms()
if last_member == '' then
  last_score = '(' .. whole(now)
end
local members = page(index, last_score, last_member, limit)
local session_keys = {}
for i = 1, #members, 2 do
  session_keys[#session_keys + 1] = prefix .. 's:' .. members[i]
end
local reply, counts = live_page(prefix, session_keys, now, max_bytes, index)
local live = 0
for i, count in ipairs(counts) do
  if count > 0 then
    reply[#reply + 1] = members[2 * i - 1]
    reply[#reply + 1] = count
    live = live + 1
  end
end
reply[#reply + 1] = live
if #counts < #session_keys or #session_keys == limit then
  reply[#reply + 1], reply[#reply + 2] = members[2 * #counts], members[2 * #counts - 1]
else
  reply[#reply + 1], reply[#reply + 2] = '', ''
end
return reply
