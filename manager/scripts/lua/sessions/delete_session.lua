-- Removes a live session with its checkpoints and its places in the indexes.
-- Uses: base sessions
-- KEYS[1] hash of the session
-- KEYS[2] sorted set: expiry index
-- KEYS[3] string: answer of this call, to repeat it
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] how long the answer is kept, milliseconds
-- Reply: 1 | 0 where the session is not live
local session_key, expiry_index, answer_key = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, kept_ms = ARGV[1], ARGV[2], ARGV[3]

local earlier = earlier_answer(answer_key)
if earlier then
  return earlier
end
local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage or 0
end
remove_sessions(prefix, expiry_index, { session })
return answer_with(answer_key, 1, kept_ms)
