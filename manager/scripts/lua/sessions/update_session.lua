-- Replace the metadata, the agent and the moment of expiry of a live session, or any of them.
-- Uses: base sessions
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- KEYS[4] string: answer of this call, to repeat it
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] new agent id, or '' to keep it
-- ARGV[4] new moment of expiry, milliseconds since 1970, or '' to keep it
-- ARGV[5] how long the expiry index outlives its members, milliseconds
-- ARGV[6] size of the new metadata, bytes, or '' to keep the metadata
-- ARGV[7] how long the answer is kept, milliseconds
-- ARGV[8] and on: metadata fields and values in turn
-- Reply: 1 | 0 if the session is not live | 'PAST' if the expiry is not in the future
local keys = { session = KEYS[1], checkpoints = KEYS[2], order = KEYS[3] }
local answer_key = KEYS[4]
local prefix, session_id, new_agent, new_expires = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local linger_ms, size, kept_ms, first_field = tonumber(ARGV[5]), ARGV[6], ARGV[7], 8

local earlier = earlier_answer(answer_key)
if earlier then
  return earlier
end
local moment_us = now_us()
local now = math.floor(moment_us / 1000)
local session, damage = live_session(prefix, keys.session, session_id, now)
if not session then
  return damage or 0
end
if new_expires and new_expires <= now then
  return 'PAST'
end
if new_agent ~= '' then
  -- Else the session would be in no index of an agent, and so be lost.
  local _, index_damage = is_listed(prefix .. 'a:' .. new_agent, session_id)
  if index_damage then
    return index_damage
  end
end
if size ~= '' then
  local stale = {}
  for _, field in ipairs(redis.call('HKEYS', keys.session)) do
    if string.sub(field, 1, 2) == 'm:' then
      stale[#stale + 1] = field
    end
  end
  for first = 1, #stale, 1000 do
    redis.call('HDEL', keys.session, unpack(stale, first, math.min(first + 999, #stale)))
  end
  redis.call('HSET', keys.session, 'size', size)
  set_fields(keys.session, first_field, #ARGV)
end
local agent, expires = session.agent, new_expires or session.expires
if new_agent ~= '' and new_agent ~= agent then
  redis.call('ZREM', prefix .. 'a:' .. agent, session_id)
  redis.call('ZREM', prefix .. 'x', expiry_member(session_id, session.user, agent))
  redis.call('HSET', keys.session, 'agent', new_agent, 'assigned', whole(moment_us))
  agent = new_agent
end
if agent ~= session.agent or expires ~= session.expires then
  set_expiry(prefix, keys, session_id, session.user, agent, expires, linger_ms, now)
end
return answer_with(answer_key, 1, kept_ms)
