-- Replace a wrapped user key by the same key wrapped again, unless it was erased or replaced meanwhile.
-- KEYS[1] hash of the key
-- ARGV[1] the wrapped key as it was read
-- ARGV[2] the wrapped key to store
-- Reply: 1 | 0 if something else is stored
local key = KEYS[1]
local before, wrapped = ARGV[1], ARGV[2]

if redis.call('HGET', key, 'wrapped') ~= before then
  return 0
end
redis.call('HSET', key, 'wrapped', wrapped)
return 1
