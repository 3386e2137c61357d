-- Pin a checkpoint of a live session. A pinned checkpoint stays pinned.
-- Uses: base sessions checkpoints
-- KEYS[1] hash of the session
-- KEYS[2] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] checkpoint id
-- Reply: 1 | 0 if there is no such checkpoint
local session_key, order = KEYS[1], KEYS[2]
local prefix, session_id, checkpoint_id = ARGV[1], ARGV[2], ARGV[3]

local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage or 0
end
if not redis.call('ZSCORE', order, checkpoint_id) then
  return 0
end
set_pin(session_key, checkpoint_id)
return 1
