-- Let a live session live for its full time again, counted from now.
-- Uses: base sessions
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] time to live, milliseconds
-- ARGV[4] how long the expiry index outlives its members, milliseconds
-- Reply: 1 | 0 if the session is not live
local keys = { session = KEYS[1], checkpoints = KEYS[2], order = KEYS[3] }
local prefix, session_id, ttl_ms, linger_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local now = now_ms()
local session, damage = live_session(prefix, keys.session, session_id, now)
if not session then
  return damage or 0
end
set_expiry(prefix, keys, session_id, session.user, session.agent, now + ttl_ms, linger_ms, now)
return 1
