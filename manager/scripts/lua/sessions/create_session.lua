-- Creates a session unless the store is full. Repeated with the same id, it changes nothing and
-- answers with the session as it is.
-- Uses: base sessions
-- KEYS[1] hash of the session
-- KEYS[2] sorted set: index of the user
-- KEYS[3] sorted set: index of the agent
-- KEYS[4] sorted set: expiry index
-- ARGV[1] session id
-- ARGV[2] user id
-- ARGV[3] agent id
-- ARGV[4] time to live, milliseconds
-- ARGV[5] most sessions in this partition
-- ARGV[6] how long the expiry index outlives its members, milliseconds
-- ARGV[7] size of the metadata, bytes
-- ARGV[8] and on: further fields and values in turn: the metadata, and the id of the user's key
-- Reply: {created in microseconds, expires in milliseconds} | {field, value, ...} if it is there | 'TAKEN' | 'FULL'
local session_key, user_index, agent_index, expiry_index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local session_id, user, agent = ARGV[1], ARGV[2], ARGV[3]
local ttl_ms, max_sessions, linger_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local size, first_field = ARGV[7], 8

local earlier = earlier_session(session_key, session_id, user, {})
if earlier then
  return earlier
end
local created = now_us()
local now = math.floor(created / 1000)
if room_left(expiry_index, max_sessions, now) <= 0 then
  return 'FULL'
end
local expires = now + ttl_ms
local expires_text = whole(expires)
write_session(session_key, user, agent, created, expires_text, size, first_field, #ARGV)
-- Where an index is of another type, what was written goes again. (To look before takes an eighth of the time.)
for i, index in ipairs({ user_index, agent_index }) do
  if wrong_type(redis.pcall('ZADD', index, expires_text, session_id)) then
    redis.call('UNLINK', session_key)
    if i == 2 then
      redis.call('ZREM', user_index, session_id)
    end
    return damaged(index)
  end
end
keep_until(user_index, expires, now)
keep_until(agent_index, expires, now)
index_session(expiry_index, expiry_member(session_id, user, agent), expires, expires_text, linger_ms, now)
return { created, expires }
