-- Creates some sessions of one partition, each as create_session does; a repeated one answers as it is.
-- Uses: base sessions
-- KEYS[1] sorted set: expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] time to live, milliseconds
-- ARGV[3] most sessions in this partition
-- ARGV[4] how long the expiry index outlives its members, milliseconds
-- ARGV[5] and on: for each session its id, user, agent, size of the metadata in bytes, number of fields and values, and these
-- Reply: {for each {created in microseconds, expires in milliseconds} | {field, value, ...} if it is there | 'TAKEN' | 'FULL' | {'CORRUPT' and the key}, ...}
local expiry_index = KEYS[1]
local prefix, ttl_ms, max_sessions = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local linger_ms, first_field = tonumber(ARGV[4]), 5

local started = now_us()
local now = math.floor(started / 1000)
local room = room_left(expiry_index, max_sessions, now)
local expires = now + ttl_ms
local expires_text = whole(expires)
local reply, members, packed = {}, {}, {}
while first_field <= #ARGV do
  local session_id, user, agent, size, count = unpack(ARGV, first_field, first_field + 4)
  local last_field = first_field + 4 + count
  local session_key, by_user, by_agent = prefix .. 's:' .. session_id, 'u:' .. user, 'a:' .. agent
  -- An index in which this script has put a session already was looked at.
  local unseen = {}
  for _, name in ipairs({ by_user, by_agent }) do
    if not members[name] then
      unseen[#unseen + 1] = prefix .. name
    end
  end
  local answer = earlier_session(session_key, session_id, user, unseen)
  if not answer and #packed >= room then
    answer = 'FULL'
  elseif not answer then
    -- Those created by one script are in their order too.
    local created = started + #packed
    write_session(session_key, user, agent, created, expires_text, size, first_field + 5, last_field)
    note_member(members, by_user, session_id)
    note_member(members, by_agent, session_id)
    packed[#packed + 1] = expiry_member(session_id, user, agent)
    answer = { created, expires }
  end
  reply[#reply + 1] = type(answer) == 'table' and answer.err and { answer.err } or answer
  first_field = last_field + 1
end
for name, listed in pairs(members) do
  index_sessions(prefix .. name, listed, expires, expires_text, 0, now)
end
if #packed > 0 then
  index_sessions(expiry_index, packed, expires, expires_text, linger_ms, now)
end
return reply
