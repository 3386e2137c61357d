-- Takes the key of a user: the one that is there, or else the one offered.
-- Uses: user_keys
-- KEYS[1] string: id of the user's key
-- ARGV[1] start of the names of keys
-- ARGV[2] id of the key offered
-- ARGV[3] the key offered, wrapped
-- ARGV[4] how long the key is kept at least, milliseconds
-- Reply: {key id, wrapped key} | 'USED' where the id offered was that of another key
local owner = KEYS[1]
local prefix, id, wrapped, keep_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local known_id = redis.call('GET', owner)
local known = known_id and redis.call('HGET', prefix .. known_id, 'wrapped')
if known then
  id, wrapped = known_id, known
elseif redis.call('EXISTS', prefix .. id) == 1 then
  return 'USED'
else
  redis.call('HSET', prefix .. id, 'wrapped', wrapped, 'owner', owner)
  redis.call('SET', owner, id)
end
keep_key(prefix .. id, owner, keep_ms)
return { id, wrapped }
