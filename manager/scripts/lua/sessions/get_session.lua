-- Reads a session if it is live.
-- Uses: base sessions
-- KEYS[1] hash of the session
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- Reply: {field, value, ..., now in milliseconds} | of a damaged session {'CORRUPT' and the key, now} | nil
local session_key = KEYS[1]
local prefix, session_id = ARGV[1], ARGV[2]

local now = now_ms()
local fields = live_fields(prefix, session_key, session_id, now)
if fields then
  fields[#fields + 1] = now
end
return fields
