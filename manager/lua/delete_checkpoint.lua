-- Removes one checkpoint of a live session, pinned or not.
-- Uses: clock live pins
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] checkpoint id
-- Reply: 1 | 0 where there is no such checkpoint
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, checkpoint_id = ARGV[1], ARGV[2], ARGV[3]

if not live_session(prefix, session_key, session_id, now_ms()) then
  return 0
end
redis.call('HDEL', checkpoints, checkpoint_id)
drop_pin(session_key, checkpoint_id)
return redis.call('ZREM', order, checkpoint_id)
