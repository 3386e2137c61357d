-- Take the key of a user: the stored one, or the offered one if none is stored.
-- Uses: user_keys
-- KEYS[1] string: id of the user's key
-- ARGV[1] prefix of the keys of user keys
-- ARGV[2] id of the offered key
-- ARGV[3] the offered key, wrapped
-- ARGV[4] shortest time for which the key is kept, milliseconds
-- Reply: {key id, wrapped key} | 'USED' if the offered id belongs to another key
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
