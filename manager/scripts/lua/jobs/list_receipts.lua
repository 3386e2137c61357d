-- Lists receipts by number.
-- KEYS[1] sorted set: receipts, JSON, scored by number
-- ARGV[1] number behind which to begin
-- ARGV[2] most receipts to list
-- Reply: {receipt, number, ...}
local receipts = KEYS[1]
local after, limit = ARGV[1], ARGV[2]

return redis.call('ZRANGEBYSCORE', receipts, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
