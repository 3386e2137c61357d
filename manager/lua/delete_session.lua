-- Removes a live session with its checkpoints and its places in the indexes.
-- Uses: clock damage live expiry_member answer
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- KEYS[4] sorted set: expiry index
-- KEYS[5] string: answer of this call, to repeat it
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] how long the answer is kept, milliseconds
-- Reply: 1 | 0 where the session is not live
local session_key, checkpoints, order, expiry_index, answer_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, session_id, kept_ms = ARGV[1], ARGV[2], ARGV[3]

local earlier = earlier_answer(answer_key)
if earlier then
  return earlier
end
local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage or 0
end
-- First the only one that may fail, because it is of another type.
redis.call('ZREM', expiry_index, expiry_member(session_id, session.user, session.agent))
redis.call('ZREM', prefix .. 'u:' .. session.user, session_id)
redis.call('ZREM', prefix .. 'a:' .. session.agent, session_id)
redis.call('UNLINK', session_key, checkpoints, order)
return answer_with(answer_key, 1, kept_ms)
