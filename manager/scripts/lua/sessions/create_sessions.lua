-- Create some sessions of one partition. A live session that has the id already stays as it is, and the reply shows it.
-- ENDED: the id is that of a session that is not live any more, and not reclaimed yet.
-- Uses: base sessions
-- KEYS[1] sorted set: expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] time to live, milliseconds
-- ARGV[3] most sessions in this partition
-- ARGV[4] how long the expiry index outlives its members, milliseconds
-- ARGV[5] and on: for each session its id, user, agent, size of the metadata in bytes, number of fields and values, and these
-- Reply: {for each how many of the following are about it; created in microseconds, expires in milliseconds | field, value, ... if it exists | 'TAKEN' | 'ENDED' | 'FULL' | 'CORRUPT' and the key, ...}
local expiry_index = KEYS[1]
local prefix, ttl_ms, max_sessions = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local linger_ms, first_field = tonumber(ARGV[4]), 5

local started = now_us()
local now = math.floor(started / 1000)
local room = room_left(expiry_index, max_sessions, now)
local expires = now + ttl_ms
local expires_text = whole(expires)
local reply, added = {}, {}
local kept_user_index, kept_agent_index
while first_field <= #ARGV do
  local session_id, user, agent, size, count = unpack(ARGV, first_field, first_field + 4)
  local last_field = first_field + 4 + count
  local session_key = prefix .. 's:' .. session_id
  local user_index, agent_index = prefix .. 'u:' .. user, prefix .. 'a:' .. agent
  -- Sessions created by one script are in their order too.
  local created = started + #added / 2
  local answer = earlier_session(prefix, session_key, session_id, user, now) or room <= 0 and { 'FULL' }
    or write_session(session_key, session_id, user, user_index, agent, agent_index, created, expires_text, size,
      first_field + 5, last_field)
  local last = #reply
  if answer then
    reply[last + 1] = #answer
    for i, value in ipairs(answer) do
      reply[last + 1 + i] = value
    end
  else
    reply[last + 1], reply[last + 2], reply[last + 3] = 2, created, expires
    added[#added + 1] = expires_text
    added[#added + 1] = expiry_member(session_id, user, agent)
    if user_index ~= kept_user_index then
      keep_until(user_index, expires, now)
      kept_user_index = user_index
    end
    if agent_index ~= kept_agent_index then
      keep_until(agent_index, expires, now)
      kept_agent_index = agent_index
    end
    room = room - 1
  end
  first_field = last_field + 1
end
if #added > 0 then
  redis.call('ZADD', expiry_index, unpack(added))
  keep_until(expiry_index, expires + linger_ms, now)
end
return reply
