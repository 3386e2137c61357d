-- Reads a session if it is live.
-- Uses: clock damage live
-- KEYS[1] hash of the session
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- Reply: {now in milliseconds, field, value, ...} | nil
local session_key = KEYS[1]
local prefix, session_id = ARGV[1], ARGV[2]

local now = now_ms()
local session, damage = live_session(prefix, session_key, session_id, now)
if not session then
  return damage
end
local reply = redis.call('HGETALL', session_key)
table.insert(reply, 1, now)
return reply
