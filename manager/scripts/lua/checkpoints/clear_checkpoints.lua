-- Remove all checkpoints of a live session, pinned or not.
-- Uses: base sessions checkpoints
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- KEYS[4] string: answer of this call, to repeat it
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] how long the answer is kept, milliseconds
-- Reply: how many there were
local session_key, checkpoints, order, answer_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, session_id, kept_ms = ARGV[1], ARGV[2], ARGV[3]

local earlier = earlier_answer(answer_key)
if earlier then
  return earlier
end
local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage or 0
end
local count = redis.call('ZCARD', order)
redis.call('UNLINK', checkpoints, order)
for _, checkpoint_id in ipairs(pinned_ids(session_key)) do
  drop_pin(session_key, checkpoint_id)
end
return answer_with(answer_key, count, kept_ms)
