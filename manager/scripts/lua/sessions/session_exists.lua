-- Test if a session is live.
-- Uses: base sessions
-- KEYS[1] hash of the session
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- Reply: 1 | 0
local session_key = KEYS[1]
local prefix, session_id = ARGV[1], ARGV[2]

local session, damage = live_session(prefix, session_key, session_id, now_ms())
return damage or session and 1 or 0
