-- Erase the key of a user. The key's id stays noted as erased for as long as the key would have been kept. So
-- a repeated call that offers the id does not bring the key back, and a reader of the id learns that the key
-- was erased.
-- Uses: base
-- KEYS[1] string: id of the user's key
-- KEYS[2] string: answer of this call, to repeat it
-- ARGV[1] prefix of the keys of user keys
-- ARGV[2] how long the answer is kept, milliseconds
-- Reply: 1 | 0 if the user has none
local owner, answer_key = KEYS[1], KEYS[2]
local prefix, kept_ms = ARGV[1], ARGV[2]

local earlier = earlier_answer(answer_key)
if earlier then
  return earlier
end
local id = redis.call('GET', owner)
local left_ms = id and redis.call('PTTL', prefix .. id) or 0
if left_ms <= 0 then
  return 0
end
redis.call('UNLINK', prefix .. id, owner)
redis.call('HSET', prefix .. id, 'erased', 1)
redis.call('PEXPIRE', prefix .. id, left_ms)
return answer_with(answer_key, 1, kept_ms)
