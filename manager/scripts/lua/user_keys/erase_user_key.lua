-- Erases the key of a user. Its id stays noted as erased for as long as the key was to be kept: so a call
-- that offered it, sent again, does not bring it back, and who meets the id is told what became of the key.
-- Uses: base
-- KEYS[1] string: id of the user's key
-- KEYS[2] string: answer of this call, to repeat it
-- ARGV[1] start of the names of keys
-- ARGV[2] how long the answer is kept, milliseconds
-- Reply: 1 | 0 where the user has none
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
