-- Set some metadata keys of a live session and leave the others as they are.
-- Uses: base sessions
-- KEYS[1] hash of the session
-- KEYS[2] string: answer of this call, to repeat it
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] most bytes of metadata that a session may hold
-- ARGV[4] how long the answer is kept, milliseconds
-- ARGV[5] and on: metadata fields and values in turn
-- Reply: 1 | 0 if the session is not live | 'TOO_LARGE' if the result would exceed the limit
local session_key, answer_key = KEYS[1], KEYS[2]
local prefix, session_id, max_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3])
local kept_ms, first_field = ARGV[4], 5

local earlier = earlier_answer(answer_key)
if earlier then
  return earlier
end
local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage or 0
end
local size = stored_number(redis.call('HGET', session_key, 'size'))
if not size then
  return damaged(session_key)
end
for i = first_field, #ARGV, 2 do
  local stored = redis.call('HSTRLEN', session_key, ARGV[i])
  if stored == 0 then
    size = size + #ARGV[i] - 2
  end
  size = size + #ARGV[i + 1] - stored
end
if size > max_bytes then
  return 'TOO_LARGE'
end
redis.call('HSET', session_key, 'size', size)
set_fields(session_key, first_field, #ARGV)
return answer_with(answer_key, 1, kept_ms)
