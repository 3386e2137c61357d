-- Remove some live sessions of one partition, each with its checkpoints and its places in the indexes.
-- Uses: base sessions
-- KEYS[1] string: answers of this call, to repeat it: for each session 1, 0, or ? for one that is damaged
-- KEYS[2] sorted set: expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] how long the answers are kept, milliseconds
-- ARGV[3] and on: id of each session, none twice
-- Reply: for each 1, 0 if it is not live, or ? if it is damaged; with damaged ones {this, for each of them 'CORRUPT' and the key, ...}
local answers_key, expiry_index = KEYS[1], KEYS[2]
local prefix, kept_ms, first_field = ARGV[1], ARGV[2], 3

local earlier = redis.call('GET', answers_key) or ''
local now = now_ms()
local answers, damages, sessions = '', {}, {}
for i = first_field, #ARGV do
  local place = i - first_field + 1
  local answer = string.sub(earlier, place, place)
  if answer == '' or answer == '?' then
    local session, damage = live_session(prefix, prefix .. 's:' .. ARGV[i], ARGV[i], now)
    sessions[#sessions + 1] = session
    damages[#damages + 1] = damage and damage.err
    answer = session and '1' or damage and '?' or '0'
  end
  answers = answers .. answer
end
if #sessions > 0 then
  remove_sessions(prefix, expiry_index, sessions)
  redis.call('SET', answers_key, answers, 'PX', kept_ms)
end
return damages[1] and { answers, unpack(damages) } or answers
