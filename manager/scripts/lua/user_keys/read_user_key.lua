-- Read a user key by its id.
-- Uses: user_keys
-- KEYS[1] hash of the key
-- ARGV[1] shortest time for which the key is kept, milliseconds, or 0 to leave its time as it is
-- Reply: the wrapped key | 'ERASED' | nil
local key = KEYS[1]
local keep_ms = tonumber(ARGV[1])

local found = redis.call('HMGET', key, 'wrapped', 'owner', 'erased')
if found[1] then
  keep_key(key, found[2], keep_ms)
  return found[1]
end
return found[3] and 'ERASED' or nil
