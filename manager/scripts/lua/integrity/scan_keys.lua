-- Scan keys of the server, some at a time. Only the check of a store does so.
-- ARGV[1] cursor, 0 to begin
-- ARGV[2] pattern that the keys match
-- ARGV[3] about how many slots to scan
-- Reply: {cursor, 0 at the end, number of keys in the database, key, ...}
local cursor, pattern, count = ARGV[1], ARGV[2], ARGV[3]

local found = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', count)
local reply = { found[1], redis.call('DBSIZE') }
for _, key in ipairs(found[2]) do
  reply[#reply + 1] = key
end
return reply
