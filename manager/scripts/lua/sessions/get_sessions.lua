-- Read some sessions of one partition, each if it is live.
-- Uses: base sessions
-- KEYS[1] and on: hash of each session
-- ARGV[1] prefix of the partition
-- ARGV[2] bytes after which the script ends
-- Reply: of one session {field, value, ..., or nothing if it is not live, or 'CORRUPT' and the key if it is damaged; now in milliseconds}; of several {now in milliseconds, for each {field, value, ...} | nil | {'CORRUPT' and the key}, ...}, fewer if the script ended before
local session_keys, prefix, max_bytes = KEYS, ARGV[1], tonumber(ARGV[2])

local now = now_ms()
-- Most calls are for one session. A list within the reply would take a tenth of their time.
if #session_keys == 1 then
  local fields = live_fields(prefix, session_keys[1], now) or {}
  fields[#fields + 1] = now
  return fields
end
local ids = {}
for i, session_key in ipairs(session_keys) do
  ids[i] = string.sub(session_key, #prefix + 3)
end
local reply = live_page(prefix, session_keys, ids, now, max_bytes)
table.insert(reply, 1, now)
return reply
