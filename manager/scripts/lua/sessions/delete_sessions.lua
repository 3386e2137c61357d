-- Removes some live sessions of one partition, each with its checkpoints and its places in the indexes.
-- Uses: base sessions
-- KEYS[1] string: answers of this call, to repeat it: for each session 1, 0, or ? for one that is damaged
-- KEYS[2] sorted set: expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] how long the answers are kept, milliseconds
-- ARGV[3] and on: id of each session, none twice
-- Reply: {for each 1 | 0 where the session is not live | {'CORRUPT' and the key}, ...}
local answers_key, expiry_index = KEYS[1], KEYS[2]
local prefix, kept_ms, first_field = ARGV[1], ARGV[2], 3

local earlier = redis.call('GET', answers_key) or ''
local now = now_ms()
local reply, answers, sessions = {}, {}, {}
for i = first_field, #ARGV do
  local place = #reply + 1
  local answer = tonumber(string.sub(earlier, place, place))
  if not answer then
    local session, damage = live_session(prefix, prefix .. 's:' .. ARGV[i], ARGV[i], now)
    sessions[#sessions + 1] = session
    answer = session and 1 or damage and { damage.err } or 0
  end
  reply[place], answers[place] = answer, type(answer) == 'number' and answer or '?'
end
if #sessions > 0 then
  remove_sessions(prefix, expiry_index, sessions)
  redis.call('SET', answers_key, table.concat(answers), 'PX', kept_ms)
end
return reply
