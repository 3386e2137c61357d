-- Reads some sessions of one partition, each if it is live.
-- Uses: clock damage live live_fields
-- KEYS[1] and on: hash of each session
-- ARGV[1] prefix of the partition
-- ARGV[2] bytes after which it ends
-- ARGV[3] and on: id of each session
-- Reply: {now in milliseconds, for each session {field, value, ...}, of a damaged one {'CORRUPT' and the key}, of one that is not live nil, ...}; fewer where it ended before
local prefix, max_bytes, first_field = ARGV[1], tonumber(ARGV[2]), 3

local now = now_ms()
local reply = { now }
local bytes = 0
for i, session_key in ipairs(KEYS) do
  local fields, size = live_fields(prefix, session_key, ARGV[first_field + i - 1], now)
  reply[i + 1] = fields or false
  bytes = bytes + size
  if bytes >= max_bytes then
    break
  end
end
return reply
