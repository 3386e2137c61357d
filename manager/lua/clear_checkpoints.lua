-- Removes all checkpoints of a live session, pinned or not.
-- Uses: clock live pins
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- Reply: how many there were
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id = ARGV[1], ARGV[2]

if not live_session(prefix, session_key, session_id, now_ms()) then
  return 0
end
local count = redis.call('ZCARD', order)
redis.call('UNLINK', checkpoints, order)
for _, checkpoint_id in ipairs(pinned_ids(session_key)) do
  drop_pin(session_key, checkpoint_id)
end
return count
