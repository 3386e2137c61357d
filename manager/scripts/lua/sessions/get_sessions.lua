-- Read some sessions of one partition, each if it is live.
-- Uses: base sessions
-- KEYS[1] and on: hash of each session
-- ARGV[1] prefix of the partition
-- ARGV[2] bytes after which it ends
-- Reply: {for each session field, value, ..., or 'CORRUPT' and the key if it is damaged, or nothing if it is not live; unless it is one, how many these are for each, and for how many; now in milliseconds}; for fewer sessions if it ended before
local session_keys, prefix, max_bytes = KEYS, ARGV[1], tonumber(ARGV[2])

local now = now_ms()
-- Most calls are for one session.
if #session_keys == 1 then
  local fields = live_fields(prefix, session_keys[1], now)
  fields[#fields + 1] = now
  return fields
end
local reply, counts = live_page(prefix, session_keys, now, max_bytes)
for _, count in ipairs(counts) do
  reply[#reply + 1] = count
end
reply[#reply + 1], reply[#reply + 2] = #counts, now
return reply
